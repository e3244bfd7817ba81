import { aDatabase } from '../testing/fixtures';
import { toCommand, toCurl, toTerraform } from './code';

const parameters = {
  database_name: 'orders-store',
  environment: 'dev',
  storage_gb: 156,
  multi_az: false,
  cost_center: `Ann's "CC" $HOME \${var.x} %{ if true } \\`,
  custom_parameters: { work_mem: '64MB' },
};

test('the API call carries what is in the form, and a shell leaves it alone', () => {
  const text = toCurl('http://portal.example/api/roadbed', aDatabase, parameters);
  expect(text).toMatch(/^curl --fail-with-body "http:\/\/portal\.example\/api\/roadbed\/requests" /);
  const [, body] = /<<'JSON'\n([^]*)\nJSON$/.exec(text)!;
  expect(JSON.parse(body)).toEqual({ offering: 'postgres-database', parameters });
});

test('a life with an end is in the call and the command', () => {
  const [, body] = /<<'JSON'\n([^]*)\nJSON$/.exec(toCurl('http://portal.example', aDatabase, {}, '24h'))!;
  expect(JSON.parse(body)).toEqual({ offering: 'postgres-database', parameters: {}, expires_in: '24h' });
  expect(toCommand(aDatabase, {}, '24h')).toContain('  --expires-in 24h \\\n  --watch');
});

test('the command quotes what a shell would read', () => {
  expect(toCommand(aDatabase, parameters).split(' \\\n')).toEqual([
    'roadbed request create postgres-database',
    '  -p database_name=orders-store',
    '  -p environment=dev',
    '  -p storage_gb=156',
    '  -p multi_az=false',
    `  -p 'cost_center=Ann'\\''s "CC" $HOME \${var.x} %{ if true } \\'`,
    `  -p 'custom_parameters={"work_mem":"64MB"}'`,
    '  --watch',
  ]);
});

test('Terraform gets the module with the same values, none of them as a template', () => {
  expect(toTerraform(aDatabase, 'local', parameters)).toBe(
    [
      'module "orders_store" {',
      '  source            = "./backstage-templates/postgres-database/module/local"',
      '',
      '  database_name     = "orders-store"',
      '  environment       = "dev"',
      '  storage_gb        = 156',
      '  multi_az          = false',
      `  cost_center       = "Ann's \\"CC\\" $HOME $\${var.x} %%{ if true } \\\\"`,
      '  custom_parameters = {',
      '    "work_mem" = "64MB"',
      '  }',
      '}',
    ].join('\n'),
  );
});
