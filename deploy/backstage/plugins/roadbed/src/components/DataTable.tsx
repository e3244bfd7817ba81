import type { ReactNode } from 'react';
import { Skeleton } from '@backstage/ui';
import classes from './DataTable.module.css';

/** A column of a table. The first one names the row. */
export type Column<T> = { title: string; cell(row: T): ReactNode; align?: 'end' };

/**
 * DataTable is a table that becomes a list of cards where it is narrow. The roles are written out because browsers forget
 * them when the display is changed.
 */
export function DataTable<T extends { id: string }>(props: { label: string; columns: Column<T>[]; rows: T[] }) {
  return (
    <div className={classes.frame}>
      <table role="table" aria-label={props.label} className={classes.table}>
        <Head columns={props.columns} />
        <tbody role="rowgroup">
          {props.rows.map(row => (
            <tr role="row" key={row.id}>
              {props.columns.map((column, index) =>
                index === 0 ? (
                  <th role="rowheader" scope="row" key={column.title}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td role="cell" key={column.title} data-title={column.title} data-align={column.align}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** TableSkeleton keeps a table's place while its rows are on their way. */
export function TableSkeleton({ label, columns, rows = 6 }: { label: string; columns: { title: string }[]; rows?: number }) {
  return (
    <div className={classes.frame} role="status" aria-label={label}>
      <table className={classes.table} aria-hidden="true">
        <Head columns={columns} />
        <tbody>
          {Array.from({ length: rows }, (_, row) => (
            <tr key={row}>
              {columns.map(column => (
                <td key={column.title}>
                  <Skeleton width={row % 2 === 0 ? '75%' : '55%'} height={16} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Head({ columns }: { columns: { title: string; align?: 'end' }[] }) {
  return (
    <thead role="rowgroup">
      <tr role="row">
        {columns.map(column => (
          <th role="columnheader" scope="col" key={column.title} data-align={column.align}>
            {column.title}
          </th>
        ))}
      </tr>
    </thead>
  );
}
