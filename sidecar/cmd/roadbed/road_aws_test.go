//go:build aws

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestAWSDatabaseDriftsAndIsPutRight makes a database at AWS, measures its use,
// changes it behind Terraform's back, has that reverted, and destroys it. It has
// a moto of its own, which tells only one RDS instance from another.
func TestAWSDatabaseDriftsAndIsPutRight(t *testing.T) {
	t.Parallel()
	a := newAWS(t)
	a.startWorker("w1")
	instance, outputs := a.make(nil)
	id, owner := instance.Id, a.as(ann)
	name := instance.Name + "-" + instance.ShortId
	for output, want := range map[string]string{
		"endpoint": name + ".", "db_instance_id": name, "credentials_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:roadbed/dev/" + name,
		"monitoring_dashboard": "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards:name=" + name,
	} {
		if got := text(outputs, output); !strings.HasPrefix(got, want) {
			t.Errorf("the output %s is %q, want %q", output, got, want)
		}
	}
	a.wantRDS(name, "<StorageEncrypted>true", "<PubliclyAccessible>false", "<DBInstanceClass>db.t3.medium", "<AllocatedStorage>100",
		"<BackupRetentionPeriod>7", "<EngineVersion>17", "<Key>Team</Key><Value>group:default/payments", "<Key>CostCenter</Key><Value>CC-1234",
		"<Key>ManagedBy</Key><Value>platform", "<Key>RequestID</Key>")
	if _, err := owner.Credentials(t.Context(), id); provision.KindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "secret store") {
		t.Errorf("asked for credentials that AWS keeps: %v, want a conflict that says where they are", err)
	}
	if instance.MonthlyCost == nil || *instance.MonthlyCost != 85_500 {
		t.Errorf("from the plan it costs %v, want the form's 85.50", instance.MonthlyCost)
	}

	if drift := a.checked(id); drift.HasDrift {
		t.Errorf("right after it was made there is drift: %+v", *drift.Titles)
	}
	if view, err := owner.Activity(t.Context(), id); err != nil || view.Failure == nil || !strings.Contains(*view.Failure, "CloudWatch has no DatabaseConnections") {
		t.Errorf("without a metric its activity is %+v (%v)", view, err)
	}
	a.moto.Query("monitoring", "PutMetricData", cloudWatchVersion, map[string]string{
		"Namespace": "AWS/RDS", "MetricData.member.1.MetricName": "DatabaseConnections", "MetricData.member.1.Value": "3",
		"MetricData.member.1.Dimensions.member.1.Name": "DBInstanceIdentifier", "MetricData.member.1.Dimensions.member.1.Value": name,
	})
	a.moto.Query("rds", "ModifyDBInstance", rdsVersion, map[string]string{"DBInstanceIdentifier": name, "BackupRetentionPeriod": "1", "ApplyImmediately": "true"})
	drift := a.checked(id)
	if !drift.HasDrift || len(*drift.Titles) != 1 || (*drift.Titles)[0] != "backup_retention_period of aws_db_instance.main is 1" {
		t.Fatalf("a change behind Terraform's back is %+v", drift)
	}
	if view, err := owner.Activity(t.Context(), id); err != nil || string(view.State) != string(provision.Used) {
		t.Errorf("with three connections its activity is %+v (%v)", view, err)
	}
	a.succeed(owner.RevertDrift(t.Context(), uuid.NewString(), id, *drift.Cause))
	a.wantRDS(name, "<BackupRetentionPeriod>7")
	password := a.secret(text(outputs, "credentials_secret_arn")).Password
	a.wantSwept("All 4 things that are tagged in dev belong to an instance.")
	unknown := uuid.NewString()
	nobodys := a.group("nobodys", map[string]string{"RoadbedInstance": unknown})
	before := a.group("before", map[string]string{"RequestID": instance.RequestId.String()})
	a.wantSwept("security-group/"+nobodys, unknown, "the server knows of no such instance", "1 of 6.")
	a.destroy(instance, name)
	a.wantSwept("security-group/"+nobodys, "security-group/"+before, "dev/"+instance.Name, "it is destroyed", "2 of ")
	a.wantNoSecret(t, map[string]string{"the database's password": password})
}

// TestAWSDatabaseChangesAndItsPasswordIsMadeAnew changes a database at AWS and
// rotates its password.
func TestAWSDatabaseChangesAndItsPasswordIsMadeAnew(t *testing.T) {
	t.Parallel()
	a := newAWS(t)
	a.startWorker("w1")
	instance, outputs := a.make(provision.Parameters{"instance_class": "db.t3.small", "storage_gb": 50})
	id, owner, arn := instance.Id, a.as(ann), text(outputs, "credentials_secret_arn")
	name := instance.Name + "-" + instance.ShortId
	first := a.secret(arn)
	update, err := owner.Update(t.Context(), uuid.NewString(), id, provision.Parameters{"storage_gb": 60, "cost_center": "CC-2", "custom_parameters": map[string]string{"work_mem": "8MB"}})
	a.succeed(update, err)
	a.wantRDS(name, "<AllocatedStorage>60", "<Key>CostCenter</Key><Value>CC-2")
	if settings := a.moto.Query("rds", "DescribeDBParameters", rdsVersion, map[string]string{"DBParameterGroupName": name + "-17"}); !strings.Contains(settings, "<ParameterValue>8192") {
		t.Errorf("8MB of work_mem is said to RDS as\n%s", settings)
	}
	if same := a.secret(arn); same != first {
		t.Error("an update has made the password anew")
	}
	rotation, err := owner.Rotate(t.Context(), uuid.NewString(), id)
	a.succeed(rotation, err)
	second := a.secret(arn)
	if second.Password == first.Password {
		t.Error("the password that was made anew is the old one")
	}
	a.destroy(instance, name)
	a.wantAllowed()
	a.wantNoSecret(t, map[string]string{"the first password": first.Password, "the second password": second.Password})
}

// TestAWSDatabaseThatWasMadeByHandIsImported takes a database over that nobody
// has made here: its plan may only import it and change it in place, it keeps its
// identifier, its network and its owner, and it is changed and destroyed as any
// other. What another instance has, or does not fit, is left alone.
func TestAWSDatabaseThatWasMadeByHandIsImported(t *testing.T) {
	t.Parallel()
	a := newAWS(t)
	a.startWorker("w1")
	owner, subnets := a.as(ann), found(t, a.moto.Query("ec2", "DescribeSubnets", ec2Version, nil), `<subnetId>([^<]+)`)
	group := map[string]string{"DBSubnetGroupName": "legacy", "DBSubnetGroupDescription": "of old"}
	for n, id := range subnets {
		group[fmt.Sprintf("SubnetIds.SubnetIdentifier.%d", n+1)] = id
	}
	a.moto.Query("rds", "CreateDBSubnetGroup", rdsVersion, group)
	a.moto.Query("rds", "CreateDBInstance", rdsVersion, map[string]string{
		"DBInstanceIdentifier": "legacy-orders", "Engine": "postgres", "EngineVersion": "17.2", "DBInstanceClass": "db.t3.medium", "AllocatedStorage": "100",
		"MasterUsername": "theirs", "MasterUserPassword": "canary-of-their-password", "DBName": "old_orders", "DBSubnetGroupName": "legacy",
		"StorageEncrypted": "true", "BackupRetentionPeriod": "7", "DeletionProtection": "true",
	})
	ask := func(key, name string, change provision.Parameters) api.Request {
		t.Helper()
		submission := a.submission("dev")
		submission.Parameters["database_name"] = name
		for name, value := range change {
			submission.Parameters[name] = value
		}
		asked, err := owner.Import(t.Context(), key, api.ImportAsk{Items: []api.ImportItem{{
			Offering: submission.Offering, Parameters: submission.Parameters, Resources: []provision.Imported{{Address: "aws_db_instance.main", ID: "legacy-orders"}},
		}}})
		if err != nil || asked[0].Request == nil {
			t.Fatalf("the import of %s is %+v (%v)", name, asked, err)
		}
		return *asked[0].Request
	}
	// wantNot waits until an import has ended, and fails unless it says why.
	wantNot := func(request api.Request, state provision.State, why string) {
		t.Helper()
		a.untilState(request.Id, state)
		if ended, err := owner.Request(t.Context(), request.Id); err != nil || !strings.Contains(ended.Error.Message+ended.Error.Detail, why) {
			t.Errorf("it ended with %+v (%v), want %s", ended.Error, err, why)
		}
	}
	wantNot(ask("import-1", "too-small", provision.Parameters{"storage_gb": 50}), provision.Failed, "it has 100 GB of storage, which can only grow")
	a.wantRDS("legacy-orders", "<DeletionProtection>true", "<StorageType>gp2")

	request := ask("import-2", "orders", nil)
	a.untilState(request.Id, provision.Succeeded)
	a.wantTagged(request.Id)
	done, err := owner.Request(t.Context(), request.Id)
	said := ""
	for _, f := range done.Findings {
		said += f.Message + "\n"
	}
	for _, want := range []string{"Nobody can read the password that aws_db_instance.main has, so it gets a new one.", "Importing aws_db_instance.main changes its ", "deletion_protection"} {
		if err != nil || !strings.Contains(said, want) {
			t.Errorf("the plan's findings lack %q (%v):\n%s", want, err, said)
		}
	}
	answer, err := owner.Instance(t.Context(), *request.InstanceId)
	if err != nil || answer.Instance.Outputs == nil {
		t.Fatalf("the instance is %+v (%v)", answer.Instance, err)
	}
	instance, outputs := answer.Instance, answer.Instance.Outputs
	if got := text(outputs, "db_instance_id"); got != "legacy-orders" {
		t.Errorf("imported, its id is %q", got)
	}
	a.wantRDS("legacy-orders", "<DBName>old_orders", "<MasterUsername>theirs", "<DBSubnetGroupName>legacy", "<DeletionProtection>false", "<StorageType>gp3",
		"<Key>RoadbedInstance</Key><Value>"+instance.Id.String(), "<Key>Team</Key><Value>group:default/payments")
	login := a.login(text(outputs, "credentials_secret_arn"))
	if login.Username != "theirs" || login.DBName != "old_orders" || login.Password == "canary-of-their-password" {
		t.Errorf("the login that is handed out is %s at %s; want theirs at old_orders, with a new password", login.Username, login.DBName)
	}
	if drift := a.checked(instance.Id); drift.HasDrift {
		t.Errorf("right after it was imported there is drift: %+v", *drift.Titles)
	}
	wantNot(ask("import-3", "thief", nil), provision.DeniedState, "aws_db_instance.main belongs to another instance: its tag RoadbedInstance is "+instance.Id.String())
	update, err := owner.Update(t.Context(), uuid.NewString(), instance.Id, provision.Parameters{"storage_gb": 120})
	a.succeed(update, err)
	a.wantRDS("legacy-orders", "<AllocatedStorage>120", "<DBName>old_orders")
	a.destroy(instance, instance.Name+"-"+instance.ShortId)
	a.wantNoSecret(t, map[string]string{"their password": "canary-of-their-password", "the new password": login.Password})
}

// TestAWSRoleWithoutAPermissionIsToldWhich takes a permission from the role: the
// request fails and says which; with it given back, what was made is destroyed.
func TestAWSRoleWithoutAPermissionIsToldWhich(t *testing.T) {
	t.Parallel()
	a := newAWS(t)
	a.startWorker("w1")
	a.moto.Permit(rolePolicy(t, "ec2:CreateSecurityGroup"))
	request := a.submit(a.submission("dev"))
	a.untilState(request.Id, provision.Failed)
	failed, err := a.as(ann).Request(t.Context(), request.Id)
	if want := "The worker may not ec2:CreateSecurityGroup. The platform team can give its role that permission"; err != nil || !strings.Contains(failed.Error.Detail, want) {
		t.Errorf("it failed with %+v (%v), want %s", failed.Error, err, want)
	}
	a.moto.Permit(rolePolicy(t))
	destroyed, err := a.as(ann).DestroyConfirmed(t.Context(), uuid.NewString(), *request.InstanceId, failed.Name)
	a.succeed(destroyed, err)
	a.wantNoSecret(t, map[string]string{})
}

// destroy has an instance destroyed: a snapshot stays, its secret for a while,
// and nothing else.
func (a *aws) destroy(instance api.Instance, name string) {
	request, err := a.as(ann).DestroyConfirmed(a.t.Context(), uuid.NewString(), instance.Id, instance.Name)
	a.succeed(request, err)
	if snapshots := a.moto.Query("rds", "DescribeDBSnapshots", rdsVersion, map[string]string{"DBSnapshotIdentifier": name + "-final"}); !strings.Contains(snapshots, name+"-final") {
		a.t.Errorf("there is no last snapshot:\n%s", snapshots)
	}
	if kept := a.moto.JSON("secretsmanager.ListSecrets", `{"IncludePlannedDeletion": true}`); !strings.Contains(kept, name) || !strings.Contains(kept, "DeletedDate") {
		a.t.Errorf("the secret is not kept for its days of grace:\n%s", kept)
	}
}
