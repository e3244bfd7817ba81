export { roadbedPlugin as default } from './plugin';
