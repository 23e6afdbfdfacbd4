package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// partSize is how much of an upload is in memory at once. S3 takes 10,000 parts: 160 GB.
const partSize = 16 << 20

// s3 is a Place in a bucket.
type s3 struct {
	client         *minio.Client
	bucket, prefix string
}

// openS3 finds endpoint and credentials where other tools find them: flags first, then a file, then AWS_* variables, then
// what the machine itself is given (a pod's web identity, an instance's role).
func openS3(bucket, prefix string, s Settings) (*s3, error) {
	host, secure, err := s3Endpoint(s.Endpoint)
	if err != nil {
		return nil, err
	}
	chain := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{}}
	if _, err := os.Stat(s.Credentials); s.Credentials != "" && err == nil {
		chain = append([]credentials.Provider{&credentials.FileAWSCredentials{Filename: s.Credentials}}, chain...)
	}
	region := os.Getenv("AWS_REGION")
	if region == "" {
		region = os.Getenv("AWS_DEFAULT_REGION")
	}
	client, err := minio.New(host, &minio.Options{
		Creds: credentials.NewChainCredentials(chain), Secure: secure, Region: region, MaxRetries: 3, TrailingHeaders: true, Transport: s.Carrier,
	})
	if err != nil {
		return nil, fmt.Errorf("s3 endpoint %s: %w", host, err)
	}
	return &s3{client: client, bucket: bucket, prefix: prefix}, nil
}

func s3Endpoint(given string) (host string, secure bool, err error) {
	for _, e := range []string{given, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")} {
		if e == "" {
			continue
		}
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "", false, fmt.Errorf("s3 endpoint %q is no URL https://host:port", e)
		}
		if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return "", false, fmt.Errorf("s3 endpoint %q has more than https://host:port; what is below a bucket belongs into the place, s3://bucket/prefix", u.Redacted())
		}
		return u.Host, u.Scheme == "https", nil
	}
	return "s3.amazonaws.com", true, nil
}

func (s *s3) object(name string) string { return path.Join(s.prefix, name) }

// Put uploads in parts. An object appears when all of its parts are there, and not before.
func (s *s3) Put(ctx context.Context, name string, write func(io.Writer) error) (int64, error) {
	in, out := io.Pipe()
	counted := &counter{to: out}
	written := make(chan error, 1)
	go func() {
		err := write(counted)
		out.CloseWithError(err) // nil is the end of the object
		written <- err
	}()
	_, err := s.client.PutObject(ctx, s.bucket, s.object(name), in, -1, minio.PutObjectOptions{
		ContentType: "application/octet-stream", PartSize: partSize,
	})
	in.CloseWithError(errors.New("the upload ended")) // ends write, should it still go on
	if wrote := <-written; err == nil {
		err = wrote
	}
	if err != nil {
		return 0, s.failed("upload to", name, err)
	}
	return counted.n, nil
}

// find lists what lies below the prefix.
func (s *s3) find(ctx context.Context) (all []Found, err error) {
	below := s.prefix
	if below != "" {
		below += "/"
	}
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: below, Recursive: true}) {
		if o.Err != nil {
			return nil, s.failed("list", "", o.Err)
		}
		if strings.HasSuffix(o.Key, Suffix) {
			all = append(all, Found{Address: schemeS3 + s.bucket + "/" + o.Key, Written: o.LastModified})
		}
	}
	slices.SortStableFunc(all, func(a, b Found) int { return cmp.Or(b.Written.Compare(a.Written), cmp.Compare(b.Address, a.Address)) })
	return all, nil
}

// Open asks for the object before it returns, so that one that is not there is known at once.
func (s *s3) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	o, err := s.client.GetObject(ctx, s.bucket, s.object(name), minio.GetObjectOptions{})
	if err == nil {
		_, err = o.Stat()
	}
	if err != nil {
		return nil, s.failed("read", name, err)
	}
	return o, nil
}

func (s *s3) Delete(ctx context.Context, name string) error {
	if err := s.client.RemoveObject(ctx, s.bucket, s.object(name), minio.RemoveObjectOptions{}); err != nil {
		return s.failed("delete", name, err)
	}
	return nil
}
