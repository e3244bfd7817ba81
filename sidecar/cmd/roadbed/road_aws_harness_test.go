//go:build aws

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// rdsVersion and the like are the versions of AWS's query APIs.
const (
	rdsVersion        = "2014-10-31"
	ec2Version        = "2016-11-15"
	cloudWatchVersion = "2010-08-01"
)

// aws is a road whose dev is an account of moto.
type aws struct {
	*road
	moto *testkit.MotoServer
}

func newAWS(t *testing.T) *aws {
	t.Helper()
	moto := testkit.Moto(t)
	moto.Bucket("platform-terraform-state")
	moto.Enforce(rolePolicy(t), []byte(ownPolicy))
	subnets := moto.Query("ec2", "DescribeSubnets", ec2Version, nil) // of the default network
	environment := fmt.Sprintf(`
name: dev
title: Development
implementation: aws
pool: local
account: "123456789012"
region: %s
settings:
  vpc_id: %s
  subnet_ids: %s
  client_cidr_blocks: 10.0.0.0/8, 172.16.0.0/12
  postgres_version: "17"
  role_arn: %s
`, testkit.MotoRegion, found(t, subnets, `<vpcId>([^<]+)`)[0], strings.Join(found(t, subnets, `<subnetId>([^<]+)`), ", "), testkit.MotoRole)
	r := newRoad(t, options{
		dev: environment, variables: moto.Variables(), patience: 5 * time.Minute, // RDS alone waits a minute to look
		serve:  []string{"--state", "s3://platform-terraform-state/databases"},
		worker: []string{"--pass", "AWS_ENDPOINT_URL,AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY,AWS_REGION,AWS_EC2_METADATA_DISABLED"},
	})
	return &aws{r, moto}
}

// ownPolicy is what docs/aws.md gives those who take on the role, and a sidecar
// that keeps states in a bucket.
const ownPolicy = `{"Version": "2012-10-17", "Statement": [
	{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "` + testkit.MotoRole + `"},
	{"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::platform-terraform-state/databases/*"}
]}`

// granted are the actions of the policy that we give people for the role.
func granted(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/aws/role-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct {
			Effect   string
			Action   any
			Resource any
		}
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, statement := range policy.Statement {
		actions, many := statement.Action.([]any)
		if !many {
			actions = []any{statement.Action}
		}
		for _, action := range actions {
			if name := fmt.Sprint(action); strings.Contains(name, "*") || slices.Contains(all, name) || statement.Effect != "Allow" {
				t.Errorf("the policy has %s twice, or more of it than needed", name)
			}
			all = append(all, fmt.Sprint(action))
		}
	}
	return all
}

// rolePolicy is that policy without the actions left out, as moto can read it:
// resources and conditions are unknown to it, and CloudWatch has another name.
func rolePolicy(t testing.TB, without ...string) []byte {
	t.Helper()
	actions := []string{"sts:GetCallerIdentity"} // nobody can be refused it
	for _, action := range granted(t) {
		if !slices.Contains(without, action) {
			actions = append(actions, strings.Replace(action, "cloudwatch:", "monitoring:", 1))
		}
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// unseen are the actions of the policy that no call of the test shows, and why
// they are in it.
var unseen = map[string]string{
	"cloudwatch:GetMetricStatistics":          "the other road measures",
	"ec2:CreateTags":                          "AWS asks for it where what is made has tags",
	"ec2:DeleteTags":                          "a tag that is no longer there",
	"ec2:DescribeNetworkInterfaces":           "the provider looks what still uses a security group, where AWS takes its time",
	"ec2:DescribeSubnets":                     "RDS looks where it may make a database",
	"ec2:DescribeVpcs":                        "RDS looks where it may make a database",
	"ec2:ModifySecurityGroupRules":            "an environment's clients change",
	"iam:CreateServiceLinkedRole":             "the first database of an account",
	"rds:AddTagsToResource":                   "AWS asks for it where what is made has tags",
	"rds:CreateDBSnapshot":                    "AWS asks for it where a database is deleted with a last snapshot",
	"rds:ModifyDBSubnetGroup":                 "an environment's subnets change",
	"rds:RemoveTagsFromResource":              "an import takes off what is not ours",
	"rds:ResetDBParameterGroup":               "a setting is taken back",
	"secretsmanager:TagResource":              "AWS asks for it where what is made has tags",
	"secretsmanager:UntagResource":            "a tag that is no longer there",
	"secretsmanager:UpdateSecret":             "an environment's key changes",
	"secretsmanager:UpdateSecretVersionStage": "a version of a secret is taken away",
}

// wantAllowed fails unless the policy has what was called, and nothing without a reason.
func (a *aws) wantAllowed() {
	a.t.Helper()
	called, may := a.moto.Called(), granted(a.t)
	for _, action := range called {
		if !slices.Contains(may, action) && action != "sts:GetCallerIdentity" {
			a.t.Errorf("%s is called, and is not in the policy", action)
		}
	}
	for _, action := range may {
		if unseen[action] == "" && !slices.Contains(called, action) {
			a.t.Errorf("%s is in the policy, and nothing calls it", action)
		}
	}
}

// group makes a security group behind Roadbed's back that has its tags and more,
// and answers its id.
func (a *aws) group(name string, tags map[string]string) string {
	a.t.Helper()
	form := map[string]string{"GroupName": name, "GroupDescription": "left over", "TagSpecification.1.ResourceType": "security-group"}
	tags["ManagedBy"], tags["Environment"] = "platform", "dev"
	n := 0
	for key, value := range tags {
		n++
		form[fmt.Sprintf("TagSpecification.1.Tag.%d.Key", n)], form[fmt.Sprintf("TagSpecification.1.Tag.%d.Value", n)] = key, value
	}
	answer := a.moto.Query("ec2", "CreateSecurityGroup", ec2Version, form)
	return regexp.MustCompile(`<groupId>([^<]+)`).FindStringSubmatch(answer)[1]
}

// wantSwept fails unless a sweep of dev says all of it.
func (a *aws) wantSwept(want ...string) {
	a.t.Helper()
	a.write("swept/dev.yaml", a.options.dev)
	sweep := exec.Command(parts.program, "operator", "sweep", "dev", "--environments", a.path("swept"), "--server", a.base())
	sweep.Env = append(a.moto.Variables(), "ROADBED_TOKEN="+a.portal.user(a.t, pat))
	sweep.Env = append(sweep.Env, a.moto.Administrator()...)
	said, err := sweep.CombinedOutput()
	for _, w := range want {
		if err != nil || !strings.Contains(string(said), w) {
			a.t.Errorf("the sweep lacks %q (%v):\n%s", w, err, said)
		}
	}
}

// found are the first groups of every match of a pattern; there must be one.
func found(t *testing.T, text, pattern string) []string {
	t.Helper()
	var all []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	if len(all) == 0 {
		t.Fatalf("there is no %s in\n%s", pattern, text)
	}
	return all
}

// database is what RDS says of an instance.
func (a *aws) database(id string) string {
	a.t.Helper()
	return a.moto.Query("rds", "DescribeDBInstances", rdsVersion, map[string]string{"DBInstanceIdentifier": id})
}

// wantRDS fails unless RDS says all of it of an instance.
func (a *aws) wantRDS(id string, want ...string) {
	a.t.Helper()
	text := a.database(id)
	for _, w := range want {
		if !strings.Contains(text, w) {
			a.t.Errorf("RDS does not say %s of %s:\n%s", w, id, text)
		}
	}
}

// login is what a secret holds.
type login struct{ Username, Password, DBName string }

// secret is what the owner's login is, by the reference that the instance has.
func (a *aws) secret(arn string) login {
	a.t.Helper()
	login := a.login(arn)
	if login.Username != "dbowner" {
		a.t.Errorf("the login is of %q", login.Username)
	}
	return login
}

// login is the login that a secret holds.
func (a *aws) login(arn string) (login login) {
	a.t.Helper()
	var answer struct{ SecretString string }
	text := a.moto.JSON("secretsmanager.GetSecretValue", fmt.Sprintf(`{"SecretId": %q}`, arn))
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(answer.SecretString), &login); err != nil {
		a.t.Fatal(err)
	}
	if len(login.Password) != 32 {
		a.t.Errorf("the password has %d characters", len(login.Password))
	}
	return login
}

// make asks for a database and answers what came of it.
func (a *aws) make(change provision.Parameters) (api.Instance, map[string]any) {
	a.t.Helper()
	submission := a.submission("dev")
	for name, value := range change {
		submission.Parameters[name] = value
	}
	request := a.submit(submission)
	a.untilState(request.Id, provision.Succeeded)
	a.wantTagged(request.Id)
	answer, err := a.as(ann).Instance(a.t.Context(), *request.InstanceId)
	if err != nil || answer.Instance.Outputs == nil {
		a.t.Fatalf("the instance is %+v (%v)", answer.Instance, err)
	}
	return answer.Instance, answer.Instance.Outputs
}

// wantTagged fails when policy found something in a request's plan that lacks its tags.
func (a *aws) wantTagged(id uuid.UUID) {
	a.t.Helper()
	made, err := a.as(ann).Request(a.t.Context(), id)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range made.Findings {
		if f.Rule == "missing_tags" {
			a.t.Errorf("of what was made policy says: %s", f.Message)
		}
	}
}

// text is an output that is a text.
func text(outputs map[string]any, name string) string {
	s, _ := outputs[name].(string)
	return s
}

// succeed waits until what was asked for has succeeded.
func (a *aws) succeed(request api.Request, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
	a.untilState(request.Id, provision.Succeeded)
}

// wantNoSecret searches everything that is kept or was sent, and wants nothing
// left at RDS. Call it last.
func (a *aws) wantNoSecret(t *testing.T, secrets map[string]string) {
	t.Helper()
	a.until("the runs' directories are wiped", func() bool { return len(a.runDirectories("w1")) == 0 })
	a.until("every message is looked at", a.settled)
	secrets["the pool's token"], secrets["the secret access key"] = a.poolKey, a.moto.Secret
	s := search{t: t, needles: secrets}
	for _, row := range a.rows() {
		s.in("the database", row)
	}
	for _, m := range a.heard.on("") {
		s.in("a message on "+m.Subject, m.Data)
	}
	s.inFiles(a.dir, a.path("keys"))
	kept := found(t, a.moto.Get("/platform-terraform-state?list-type=2&prefix=databases"), `<Key>(databases/dev/[^<]+)`)
	if n := a.number("SELECT count(*) FROM states WHERE sealed IS NULL"); n != len(kept) || n != a.number("SELECT count(*) FROM states") {
		t.Errorf("of %d states %d are in the bucket: %v", a.number("SELECT count(*) FROM states"), len(kept), kept)
	}
	for _, key := range kept {
		s.in("the bucket", []byte(a.moto.Get("/platform-terraform-state/"+key)))
	}
	if left := a.moto.Query("rds", "DescribeDBInstances", rdsVersion, nil); strings.Contains(left, "<DBInstanceIdentifier>") {
		t.Errorf("in the end RDS has\n%s", left)
	}
	a.audit()
	a.wantPublished()
}
