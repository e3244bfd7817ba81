package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// patience is how long one call may take, its repeats included.
const patience = 20 * time.Second

// largest is how large an object may be that is read, in bytes.
const largest = 64 << 20

// Bucket is a bucket and a prefix in it.
type Bucket struct {
	client *s3.Client
	name   string
	prefix string // without a slash at either end; may be empty
}

// Open makes a Bucket of an address such as s3://platform-terraform-state/databases.
// Region and identity are found as every AWS client finds them; a service of
// one's own is named by AWS_ENDPOINT_URL_S3. It calls nothing yet: a bucket that
// is away is no fault at start. What is no such address is Invalid.
func Open(ctx context.Context, address string) (*Bucket, error) {
	name, prefix, err := parse(address)
	if err != nil {
		return nil, err
	}
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "no identity at AWS can be made of the environment: %w", err)
	}
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		// Who reads a state compares its digest; services of one's own may not know S3's own checks.
		o.RequestChecksumCalculation, o.ResponseChecksumValidation = aws.RequestChecksumCalculationWhenRequired, aws.ResponseChecksumValidationWhenRequired
		o.UsePathStyle = settings.BaseEndpoint != nil || o.BaseEndpoint != nil // the names of a service of one's own seldom have the bucket in them
	})
	return &Bucket{client: client, name: name, prefix: prefix}, nil
}

// parse takes an s3:// address apart.
func parse(address string) (name, key string, err error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "s3" || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" {
		return "", "", provision.Errorf(provision.Invalid, "%q is no place in S3: write s3://bucket or s3://bucket/prefix", address)
	}
	return parsed.Host, strings.Trim(parsed.Path, "/"), nil
}

// Put keeps bytes under a key below the prefix, and answers where as an s3://
// address. It may be repeated. Unavailable: not now.
func (b *Bucket) Put(ctx context.Context, key string, body []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key = path.Join(b.prefix, key)
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		return "", away(b.name, fmt.Errorf("put %s: %w", key, err))
	}
	return "s3://" + b.name + "/" + key, nil
}

// Get answers what is kept at a place that Put has answered, whatever the prefix
// is today. NotFound: there is nothing. Unavailable: not now.
func (b *Bucket) Get(ctx context.Context, place string) ([]byte, error) {
	name, key, err := parse(place)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	object, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &name, Key: &key})
	var none *types.NoSuchKey
	if errors.As(err, &none) {
		return nil, provision.Errorf(provision.NotFound, "there is nothing at %s", place)
	}
	if err != nil {
		return nil, away(name, fmt.Errorf("get %s: %w", key, err))
	}
	defer object.Body.Close()
	body, err := io.ReadAll(io.LimitReader(object.Body, largest+1))
	switch {
	case err != nil:
		return nil, away(name, fmt.Errorf("get %s: %w", key, err))
	case len(body) > largest:
		return nil, provision.Errorf(provision.Invalid, "what is at %s is larger than %d MiB", place, largest>>20)
	}
	return body, nil
}

// Check is nil when the bucket is there and may be written: it puts an object
// and reads it again. What it answers names the way out.
func (b *Bucket) Check(ctx context.Context) error {
	place, err := b.Put(ctx, "roadbed-check", []byte("Roadbed may write here."))
	if err != nil {
		return err
	}
	_, err = b.Get(ctx, place)
	return err
}

// away is Unavailable, with the word of S3 where it has said one.
func away(bucket string, cause error) error {
	var said smithy.APIError
	if errors.As(cause, &said) {
		return provision.Unreachable(fmt.Sprintf("the bucket %s (it says %s)", bucket, said.ErrorCode()), cause)
	}
	return provision.Unreachable("the bucket "+bucket, cause)
}
