export interface Config {
  roadbed?: {
    /** Tells several Roadbeds in one catalog apart; part of their entities' location key. Default `default`. */
    instance?: string;
  };
}
