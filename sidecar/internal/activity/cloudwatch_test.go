package activity_test

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/activity"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestCloudWatchThatIsAwayIsNoReading(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": "canary", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	measure := func(query string) (provision.Reading, error) {
		rule := provision.ActivityRule{Kind: "cloudwatch", Query: query, Arguments: []string{"id"}}
		return activity.Measure(t.Context(), rule, provision.Environment{Region: "eu-west-1"}, map[string]any{"id": "orders"}, nil)
	}
	if got, err := measure("Maximum AWS/RDS DatabaseConnections DBInstanceIdentifier=$1"); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("without CloudWatch it is the reading %+v (%v), want unavailable", got, err)
	}
	for name, query := range map[string]string{
		"an unknown statistic": "Most AWS/RDS DatabaseConnections DBInstanceIdentifier=$1", "no dimension": "Maximum AWS/RDS DatabaseConnections",
		"half a dimension": "Maximum AWS/RDS DatabaseConnections DBInstanceIdentifier",
	} {
		if got, err := measure(query); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%s is the reading %+v (%v), want invalid", name, got, err)
		}
	}
}
