export { catalogModuleRoadbed as default } from './module.ts';
