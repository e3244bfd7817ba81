package testkit

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// MotoServer is a stand-in for AWS of this test alone: moto, as a process.
type MotoServer struct {
	t      testing.TB
	URL    string // for every service
	Key    string // an access key id; moto takes any
	Secret string
	cmd    *exec.Cmd // nil while stopped
	port   string
	record string // the file of every call
	admin  aws.Credentials
}

// MotoRegion is where a MotoServer's services are.
const MotoRegion = "eu-west-1"

// Moto starts a MotoServer on a free port. It ends with the test, and needs
// Python with moto[server]; PYTHON names another one than the first on PATH.
func Moto(t testing.TB) *MotoServer {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String()) // what we listen on has a port
	free.Close()
	m := &MotoServer{
		t: t, URL: "http://127.0.0.1:" + port, Key: "AKIACANARYOFMOTO0001", Secret: "canary-of-the-secret-access-key-0001",
		port: port, record: filepath.Join(t.TempDir(), "calls"),
	}
	t.Cleanup(m.Stop)
	m.Start()
	return m
}

// Start starts a stopped server, which has forgotten everything, and returns once it answers.
func (m *MotoServer) Start() {
	m.t.Helper()
	m.cmd = exec.Command(cmp.Or(os.Getenv("PYTHON"), "python3"), "-m", "moto.server", "-H", "127.0.0.1", "-p", m.port)
	m.cmd.Env = append(os.Environ(), "MOTO_ENABLE_RECORDING=1", "MOTO_RECORDER_FILEPATH="+m.record)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatalf("start moto: %v", err)
	}
	for end := time.Now().Add(2 * time.Minute); ; { // a busy machine takes its time to read that much Python
		res, err := http.Get(m.URL + "/moto-api/")
		if err == nil {
			res.Body.Close()
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("moto does not answer on %s: %v", m.URL, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Stop ends it; it may be repeated.
func (m *MotoServer) Stop() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	m.cmd = nil
}

// Variables are what an AWS client finds it by in its environment, as NAME=value.
func (m *MotoServer) Variables() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + m.URL, "AWS_ACCESS_KEY_ID=" + m.Key, "AWS_SECRET_ACCESS_KEY=" + m.Secret,
		"AWS_REGION=" + MotoRegion, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Query calls an action of a service that speaks AWS's query protocol, such as
// rds or ec2, and answers the XML.
func (m *MotoServer) Query(service, action, version string, parameters map[string]string) string {
	m.t.Helper()
	form := url.Values{"Action": {action}, "Version": {version}}
	for name, value := range parameters {
		form.Set(name, value)
	}
	return m.call(http.MethodPost, "", service, "", "application/x-www-form-urlencoded", form.Encode())
}

// JSON calls an operation of a service that speaks AWS's JSON protocol, such as
// secretsmanager.GetSecretValue, and answers the JSON.
func (m *MotoServer) JSON(target, body string) string {
	m.t.Helper()
	service, _, _ := strings.Cut(target, ".")
	return m.call(http.MethodPost, "", service, target, "application/x-amz-json-1.1", body)
}

// Bucket makes a bucket in S3.
func (m *MotoServer) Bucket(name string) {
	m.t.Helper()
	m.call(http.MethodPut, "/"+name, "s3", "", "application/xml",
		"<CreateBucketConfiguration><LocationConstraint>"+MotoRegion+"</LocationConstraint></CreateBucketConfiguration>")
}

// Get answers what S3 has at a path such as /bucket/key.
func (m *MotoServer) Get(path string) string {
	m.t.Helper()
	return m.call(http.MethodGet, path, "s3", "", "", "")
}

func (m *MotoServer) call(method, path, service, target, kind, body string) string {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), method, m.URL+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": kind, "X-Amz-Target": target} {
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	sum := sha256.Sum256([]byte(body))
	if service == "s3" {
		request.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	}
	identity := aws.Credentials{AccessKeyID: cmp.Or(m.admin.AccessKeyID, m.Key), SecretAccessKey: cmp.Or(m.admin.SecretAccessKey, m.Secret)}
	if err := v4.NewSigner().SignHTTP(m.t.Context(), identity, request, hex.EncodeToString(sum[:]), service, MotoRegion, time.Now()); err != nil {
		m.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		m.t.Fatalf("call %s: %v", service, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		m.t.Fatalf("call %s %s%s: %d %s %v", service, target, path, response.StatusCode, answer, err)
	}
	return string(answer)
}
