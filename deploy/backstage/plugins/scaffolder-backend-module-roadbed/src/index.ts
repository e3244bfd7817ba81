export { scaffolderModuleRoadbed as default } from './module.ts';
