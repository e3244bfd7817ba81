import { FormFieldBlueprint, createFormField } from '@backstage/plugin-scaffolder-react/alpha';

// Their names are what `ui:field` says in a form. They are loaded with the first form that is opened.
const page = FormFieldBlueprint.make({
  name: 'page',
  params: {
    field: async () => {
      const { RoadbedPage } = await import('./FormPage');
      return createFormField({ name: 'RoadbedPage', component: RoadbedPage });
    },
  },
});

const presets = FormFieldBlueprint.make({
  name: 'presets',
  params: {
    field: async () => {
      const { RoadbedPresets } = await import('./Presets');
      return createFormField({ name: 'RoadbedPresets', component: RoadbedPresets });
    },
  },
});

const link = FormFieldBlueprint.make({
  name: 'link',
  params: {
    field: async () => {
      const { RoadbedLink } = await import('./LinkPicker');
      return createFormField({ name: 'RoadbedLink', component: RoadbedLink });
    },
  },
});

const verdict = FormFieldBlueprint.make({
  name: 'verdict',
  params: {
    field: async () => {
      const { RoadbedVerdict } = await import('./Verdict');
      const { refuseDenied } = await import('./refuseDenied');
      return createFormField({ name: 'RoadbedVerdict', component: RoadbedVerdict, validation: refuseDenied });
    },
  },
});

/** formFields are the fields that Roadbed has in the forms of offerings. */
export const formFields = [page, presets, link, verdict];
