package terraform

import "testing"

func TestAFailureNamesThePermissionThatIsMissing(t *testing.T) {
	t.Parallel()
	const said = "The worker may not rds:CreateDBInstance. The platform team can give its role that permission: docs/aws.md has all that it needs."
	refused := Failure{Phase: "apply", Diagnostics: []Diagnostic{
		{Summary: "creating Security Group: timeout"},
		{Summary: "creating RDS DB Instance (orders): api error AccessDenied", Detail: "User: arn:aws:sts::1:assumed-role/roadbed/x is not authorized to perform: rds:CreateDBInstance on resource: arn:aws:rds:eu-west-1:1:db:orders"},
	}}
	if got := refused.Summary(); got != said {
		t.Errorf("the summary is %q, want %q", got, said)
	}
	want := said + "\n\ncreating Security Group: timeout\n\n" + refused.Diagnostics[1].Text()
	if got := refused.Detail(); got != want {
		t.Errorf("the detail is %q, want %q", got, want)
	}
	other := Failure{Phase: "apply", Diagnostics: refused.Diagnostics[:1]}
	if got := other.Summary() + "|" + other.Detail(); got != "creating Security Group: timeout|creating Security Group: timeout" {
		t.Errorf("another failure is %q", got)
	}
}
