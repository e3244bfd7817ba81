package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
)

// The most that a bundle may hold, in bytes: as it is sent, and unpacked.
const (
	maxArchive  = 16 << 20
	maxUnpacked = 64 << 20
)

const keyID = "roadbed" // there is one key, so its name in a signature decides nothing

// Key verifies that bundles are from who may make them.
type Key struct{ config *opa.VerificationConfig }

// ParseKey reads the PEM of a public key: RSA for RS256, or a curve for the
// algorithm that goes with it (P-256 is ES256).
func ParseKey(text []byte) (*Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the policy bundle key is no PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the policy bundle key: it must be a public key: %w", err)
	}
	algorithm, err := algorithmOf(public)
	if err != nil {
		return nil, err
	}
	keys := map[string]*opa.KeyConfig{keyID: {Key: string(text), Algorithm: algorithm}}
	return &Key{opa.NewVerificationConfig(keys, keyID, "", nil)}, nil
}

func algorithmOf(public any) (string, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return "RS256", nil
	case *ecdsa.PublicKey:
		switch public.Curve.Params().BitSize {
		case 256:
			return "ES256", nil
		case 384:
			return "ES384", nil
		case 521:
			return "ES512", nil
		}
	}
	return "", fmt.Errorf("the policy bundle key is a %T; it must be RSA, or ECDSA on P-256, P-384 or P-521", public)
}

// readArchive reads an OPA bundle (https://www.openpolicyagent.org/docs/management-bundles)
// as OPA does: its manifest, its roots, and its signature where key is not nil.
// Its files become those of a folder of policies: limits/data.yaml, or the
// member limits of data.json, is data/limits.yaml. The error has every fault.
func readArchive(archive []byte, key *Key) (source, error) {
	if err := bounded(archive); err != nil {
		return source{}, err
	}
	files, err := unpack(archive)
	if err != nil {
		return source{}, fmt.Errorf("read the policy bundle: %w", err)
	}
	reader := opa.NewCustomReader(opa.NewTarballLoaderWithBaseURL(bytes.NewReader(archive), "")).WithRegoVersion(ast.RegoV1)
	if key != nil {
		reader = reader.WithBundleVerificationConfig(key.config)
	}
	read, err := reader.Read()
	if err != nil {
		return source{}, fmt.Errorf("read the policy bundle: %w", allFaults(files, err))
	}
	if read.Type() != opa.SnapshotBundleType {
		return source{}, errors.New("read the policy bundle: it is a delta; the service must send whole bundles")
	}
	src := source{files: map[string][]byte{}}
	for name, text := range modulesOf(files) {
		src.files[name] = text
	}
	for name, document := range read.Data {
		if src.files["data/"+name+".yaml"], err = dataFile(files, name, document); err != nil {
			return source{}, err
		}
	}
	if len(src.files["data/prices.yaml"]) == 0 {
		return source{}, errors.New("read the policy bundle: it has no data.prices; roadbed policy bundle makes a bundle of a folder of policies")
	}
	// What OPA verified and what decides must be the same, to the last number.
	data, err := src.parseData()
	if err != nil {
		return source{}, err
	}
	if util.Compare(data, read.Data) != 0 {
		return source{}, errors.New("read the policy bundle: its data is not plain YAML 1.2; write it as JSON")
	}
	return src, nil
}

// bounded refuses an archive that unpacks to more than a bundle may hold.
func bounded(archive []byte) error {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("read the policy bundle: it is no gzipped tar archive: %w", err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(plain, maxUnpacked+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the policy bundle: %w", err)
	case n > maxUnpacked:
		return fmt.Errorf("read the policy bundle: it unpacks to more than %d MiB", maxUnpacked>>20)
	}
	return nil
}

// unpack are an archive's files by path, without a leading slash.
func unpack(archive []byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	loader := opa.NewTarballLoaderWithBaseURL(bytes.NewReader(archive), "")
	for {
		file, err := loader.NextFile()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		if _, err := file.Read(&text, maxUnpacked); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean("/"+file.Path()), "/")
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("it has two files %s", name)
		}
		files[name] = text.Bytes()
	}
}

// allFaults is err, or when files do not parse, what each of them lacks: OPA
// stops at the first.
func allFaults(files map[string][]byte, err error) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".rego" {
			continue
		}
		if _, fault := ast.ParseModuleWithOpts(name, string(files[name]), ast.ParserOptions{RegoVersion: ast.RegoV1}); fault != nil {
			faults = append(faults, fault)
		}
	}
	if len(faults) == 0 {
		return err
	}
	return errors.Join(faults...)
}

// modulesOf are the rules by their path in a folder of policies: `opa build`
// leaves the name of the folder that it was given before them.
func modulesOf(files map[string][]byte) map[string][]byte {
	modules := map[string][]byte{}
	for name, text := range files {
		if path.Ext(name) == ".rego" {
			modules[name] = text
		}
	}
	for {
		top, shared := "", len(modules) > 0
		for name := range modules {
			dir, _, inside := strings.Cut(name, "/")
			shared = shared && inside && (top == "" || top == dir)
			top = dir
		}
		if !shared || slices.Contains([]string{"guardrails", "decision", "authz", "lib"}, top) {
			return modules
		}
		moved := map[string][]byte{}
		for name, text := range modules {
			moved[strings.TrimPrefix(name, top+"/")] = text
		}
		modules = moved
	}
}

// dataFile is the document called name as it was written where one file holds
// it, so that its digest is that of the folder; else as JSON, which YAML includes.
func dataFile(files map[string][]byte, name string, document any) ([]byte, error) {
	_, isWhole := files[name+"/data.yaml"]
	for file := range files {
		isData := slices.Contains([]string{"data.json", "data.yaml", "data.yml"}, path.Base(file))
		if isData && file != name+"/data.yaml" && (!strings.Contains(file, "/") || strings.HasPrefix(file, name+"/")) {
			isWhole = false
		}
	}
	if isWhole {
		return files[name+"/data.yaml"], nil
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("read the policy bundle: data.%s: %w", name, err)
	}
	return text.Bytes(), nil
}

// ArchiveOptions are how a bundle is written.
type ArchiveOptions struct {
	Revision string // "" is the bundle's digest
	// SigningKey is the PEM of a private key, nil for no signature, and
	// Algorithm what it signs with: RS256 or ES256 and the like.
	SigningKey []byte
	Algorithm  string
}

// WriteArchive writes the policies in fsys, their tests among them, as an OPA
// bundle. They must be good: what a sidecar would refuse is an error. The same
// policies give the same bytes, unless they are signed.
func WriteArchive(out io.Writer, fsys fs.FS, o ArchiveOptions) (*Bundle, error) {
	src, err := readSource(fsys)
	if err != nil {
		return nil, err
	}
	bundle, err := src.load()
	if err != nil {
		return nil, err
	}
	if o.Revision == "" {
		o.Revision = bundle.digest
	}
	files, roots := map[string][]byte{}, []string{"roadbed"}
	for _, name := range src.paths(func(string) bool { return true }) {
		if base, isData := strings.CutSuffix(path.Base(name), ".yaml"); isData {
			files[base+"/data.yaml"], roots = src.files[name], append(roots, base)
		} else {
			files[name] = src.files[name]
		}
	}
	manifest, err := json.Marshal(map[string]any{"revision": o.Revision, "roots": roots, "rego_version": 1})
	if err != nil {
		return nil, fmt.Errorf("write the policy bundle: %w", err)
	}
	files[".manifest"] = manifest
	if o.SigningKey != nil {
		if files[".signatures.json"], err = sign(files, o); err != nil {
			return nil, fmt.Errorf("sign the policy bundle: %w", err)
		}
	}
	zipped := gzip.NewWriter(out)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "/" + name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write the policy bundle: %w", err)
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, fmt.Errorf("write the policy bundle: %w", err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("write the policy bundle: %w", err)
	}
	return bundle, nil
}

// sign is OPA's .signatures.json over files.
func sign(files map[string][]byte, o ArchiveOptions) ([]byte, error) {
	hasher, err := opa.NewSignatureHasher(opa.SHA256)
	if err != nil {
		return nil, err
	}
	var signed []opa.FileInfo
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var content any = files[name]
		if opa.IsStructuredDoc(name) {
			if err := util.Unmarshal(files[name], &content); err != nil {
				return nil, err
			}
		}
		sum, err := hasher.HashFile(content)
		if err != nil {
			return nil, err
		}
		signed = append(signed, opa.NewFile(name, hex.EncodeToString(sum), opa.SHA256.String()))
	}
	token, err := opa.GenerateSignedToken(signed, opa.NewSigningConfig(string(o.SigningKey), o.Algorithm, ""), keyID)
	if err != nil {
		return nil, err
	}
	return json.Marshal(opa.SignaturesConfig{Signatures: []string{token}})
}
