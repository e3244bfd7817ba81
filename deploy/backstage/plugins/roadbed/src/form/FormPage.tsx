import { createContext, useContext, useMemo, type ComponentType, type ReactNode } from 'react';
import type { FieldExtensionComponentProps } from '@backstage/plugin-scaffolder-react';
import type { Parameters } from '../api/types';
import { useVerdict, type Judged } from './useVerdict';

/** PRESETS_FIELD is the name that the presets have in a form. */
const PRESETS_FIELD = 'roadbedPresets';

/** Page is a form as the fields of ours see it. */
export type Page = {
  judged: Judged;
  /** change sets parameters, those of other pages too; undefined where the form cannot be reached. */
  change?(parameters: Parameters): void;
  /** fields are the names of what is on this page. */
  fields: string[];
};

const PageContext = createContext<Page | undefined>(undefined);

/** usePage is the page of the form that a field stands on, or undefined outside of one. */
export function usePage(): Page | undefined {
  return useContext(PageContext);
}

/** JudgedPage is a form that is judged already, for all fields in it. */
export function JudgedPage({ page, children }: { page: Page; children: ReactNode }) {
  return <PageContext.Provider value={page}>{children}</PageContext.Provider>;
}

/** FormPage judges a form, for all fields in it at once. */
export function FormPage(props: {
  offering: string;
  form: Parameters;
  change?(parameters: Parameters): void;
  fields: string[];
  children: ReactNode;
}) {
  const { form, change, fields } = props;
  const judged = useVerdict(props.offering, form, fields.includes(PRESETS_FIELD));
  return <JudgedPage page={{ judged, change, fields }}>{props.children}</JudgedPage>;
}

/** The fields of Roadbed's own that hold a whole page, or nothing. */
export type PageFieldProps = FieldExtensionComponentProps<Parameters, { offering?: string }>;

/**
 * RoadbedPage is a page of an offering's form as a whole. It looks as every page does; being a field, it may set its
 * fields, which no field may do to another.
 */
export function RoadbedPage(props: PageFieldProps) {
  const { onChange, formData, registry, schema, uiSchema } = props;
  // Without its field's name this is what the form would have shown by itself.
  const ObjectField = registry.fields.ObjectField as ComponentType<PageFieldProps>;
  const plain = useMemo(() => ({ ...uiSchema, 'ui:field': undefined }), [uiSchema]);
  const form = formData ?? {};
  return (
    <FormPage
      offering={uiSchema['ui:options']?.offering ?? ''}
      form={form}
      change={parameters => onChange({ ...form, ...parameters })}
      fields={Object.keys(schema.properties ?? {})}
    >
      <ObjectField {...props} uiSchema={plain} />
    </FormPage>
  );
}
