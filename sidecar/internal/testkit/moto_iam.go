package testkit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// MotoRole is the role that Enforce gives a policy to.
const MotoRole = "arn:aws:iam::123456789012:role/roadbed"

const iamVersion = "2010-05-08"

// Enforce has moto hold everybody to their permissions from now on. Key and
// Secret become those of a user that may do what own says and take on MotoRole,
// which may do what role says; both are policy documents. The test's own calls
// may do anything. Of policies moto knows actions, not resources, but for S3.
func (m *MotoServer) Enforce(role, own []byte) {
	m.t.Helper()
	for _, user := range []string{"administrator", "worker"} {
		m.Query("iam", "CreateUser", iamVersion, map[string]string{"UserName": user})
	}
	m.allow("User", "administrator", []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`))
	m.allow("User", "worker", own)
	m.Query("iam", "CreateRole", iamVersion, map[string]string{"RoleName": "roadbed", "AssumeRolePolicyDocument": `{"Version": "2012-10-17",
		"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:user/worker"}, "Action": "sts:AssumeRole"}]}`})
	m.Permit(role)
	admin, worker := m.accessKey("administrator"), m.accessKey("worker")
	m.call(http.MethodPost, "/moto-api/reset-auth", "", "", "text/plain", "0")
	m.admin, m.Key, m.Secret = admin, worker.AccessKeyID, worker.SecretAccessKey
}

// Permit has MotoRole do what a policy document says, and nothing else.
func (m *MotoServer) Permit(role []byte) {
	m.t.Helper()
	m.allow("Role", "roadbed", role)
}

// Administrator are the variables of who may do anything, as NAME=value.
func (m *MotoServer) Administrator() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + m.admin.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + m.admin.SecretAccessKey}
}

func (m *MotoServer) allow(kind, name string, policy []byte) {
	m.t.Helper()
	m.Query("iam", "Put"+kind+"Policy", iamVersion, map[string]string{kind + "Name": name, "PolicyName": "permissions", "PolicyDocument": string(policy)})
}

func (m *MotoServer) accessKey(user string) aws.Credentials {
	m.t.Helper()
	answer := m.Query("iam", "CreateAccessKey", iamVersion, map[string]string{"UserName": user})
	id, secret := regexp.MustCompile(`<AccessKeyId>([^<]+)`).FindStringSubmatch(answer), regexp.MustCompile(`<SecretAccessKey>([^<]+)`).FindStringSubmatch(answer)
	if id == nil || secret == nil {
		m.t.Fatalf("moto has made no key for %s: %s", user, answer)
	}
	return aws.Credentials{AccessKeyID: id[1], SecretAccessKey: secret[1]}
}

// Called are the actions that those have called who took on a role, such as
// rds:CreateDBInstance, each once and sorted.
func (m *MotoServer) Called() []string {
	m.t.Helper()
	calls, err := os.Open(m.record)
	if err != nil {
		m.t.Fatal(err)
	}
	defer calls.Close()
	var all []string
	for lines := bufio.NewReader(calls); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		if action := calledIn(line); action != "" && !slices.Contains(all, action) {
			all = append(all, action)
		}
	}
	slices.Sort(all)
	return all
}

// scope is the part of a signature that names the service.
var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/[^/]+/([^/]+)/`)

// calledIn is the action of a recorded call under a role; "" when it is none.
func calledIn(line []byte) string {
	var call struct {
		Headers map[string]string
		Body    string
	}
	if json.Unmarshal(bytes.TrimSpace(line), &call) != nil {
		return ""
	}
	headers := http.Header{}
	for name, value := range call.Headers {
		headers.Set(name, value)
	}
	service := scope.FindStringSubmatch(headers.Get("Authorization"))
	if service == nil || headers.Get("X-Amz-Security-Token") == "" {
		return ""
	}
	prefix := strings.Replace(service[1], "monitoring", "cloudwatch", 1) // as policies call it
	if _, operation, ok := strings.Cut(headers.Get("X-Amz-Target"), "."); ok {
		return prefix + ":" + operation
	}
	body, _ := base64.StdEncoding.DecodeString(call.Body) // what is not decoded has no action
	form, _ := url.ParseQuery(string(body))
	if form.Get("Action") == "" {
		return ""
	}
	return prefix + ":" + form.Get("Action")
}
