package tagged_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/tagged"
)

// standIn is an AWS with two pages of what is tagged, in account 123456789012.
func standIn(t *testing.T) (asked *string, refuse *bool) {
	t.Helper()
	asked, refuse = new(string), new(bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a test's own caller
		switch {
		case !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetResources"):
			fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
		case *refuse:
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type": "AccessDeniedException", "Message": "not authorized to perform: tag:GetResources"}`)
		case strings.Contains(string(body), "page-2"):
			fmt.Fprint(w, `{"PaginationToken": "", "ResourceTagMappingList": [{"ResourceARN": "arn:b", "Tags": []}]}`)
		default:
			*asked = string(body)
			fmt.Fprint(w, `{"PaginationToken": "page-2", "ResourceTagMappingList": [{"ResourceARN": "arn:a", "Tags": [{"Key": "Team", "Value": "x"}]}]}`)
		}
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "AKIACANARY", "AWS_SECRET_ACCESS_KEY": "canary", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	return asked, refuse
}

func TestFindReadsEveryPageOfWhatHasTheTags(t *testing.T) {
	asked, _ := standIn(t)
	all, err := tagged.Find(t.Context(), provision.Environment{Name: "dev", Region: "eu-west-1", Account: "123456789012"}, map[string]string{"ManagedBy": "platform"})
	if err != nil || len(all) != 2 || all[0].ARN != "arn:a" || all[0].Tags["Team"] != "x" || all[1].ARN != "arn:b" {
		t.Errorf("found %+v (%v), want both pages", all, err)
	}
	var ask struct {
		TagFilters []struct {
			Key    string
			Values []string
		}
	}
	if err := json.Unmarshal([]byte(*asked), &ask); err != nil || len(ask.TagFilters) != 1 || ask.TagFilters[0].Key != "ManagedBy" || ask.TagFilters[0].Values[0] != "platform" {
		t.Errorf("AWS is asked %s (%v)", *asked, err)
	}
}

func TestFindInAnotherAccountOrRefusedIsNoEmptyAnswer(t *testing.T) {
	_, refuse := standIn(t)
	elsewhere := provision.Environment{Name: "prod", Region: "eu-west-1", Account: "210987654321"}
	if all, err := tagged.Find(t.Context(), elsewhere, nil); provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), "account 123456789012") {
		t.Errorf("in another account it found %+v (%v), want invalid", all, err)
	}
	*refuse = true
	if all, err := tagged.Find(t.Context(), provision.Environment{Region: "eu-west-1"}, nil); provision.KindOf(err) != provision.Unavailable || !strings.Contains(err.Error(), "tag:GetResources") {
		t.Errorf("refused, it found %+v (%v), want unavailable with what is missing", all, err)
	}
}
