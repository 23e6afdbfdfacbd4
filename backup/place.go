package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Place is where backups lie. Names are those of Header.Name. Methods may be called from any goroutine.
type Place interface {
	// Put writes what write writes under a name, and returns its size. It is there whole or not at all: after an error,
	// write's own included, there is nothing under the name that was not there before.
	Put(ctx context.Context, name string, write func(io.Writer) error) (int64, error)
	// Open reads one backup, which the caller closes. What breaks off on the way is an error of reading.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Delete removes one backup; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

// Settings of places that need more than an address.
type Settings struct {
	// Endpoint of an S3 service, URL; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or Amazon's own.
	Endpoint string
	// Credentials is a file with S3 credentials, in the form of ~/.aws/credentials; "" or missing: the environment.
	Credentials string
	// Carrier of requests to S3; nil: the network.
	Carrier http.RoundTripper
}

// CheckPlace says whether a place could be opened, without touching it: an s3://bucket/prefix or an absolute path.
func CheckPlace(address string) error {
	if filepath.IsAbs(address) {
		return nil
	}
	_, _, err := parseS3(address)
	return err
}

// OpenPlace opens the place of an address: s3://bucket/prefix, or a folder by its absolute path.
func OpenPlace(address string, s Settings) (Place, error) {
	if filepath.IsAbs(address) {
		return folder(address), nil
	}
	bucket, prefix, err := parseS3(address)
	if err != nil {
		return nil, err
	}
	place, err := openS3(bucket, prefix, s)
	if err != nil {
		return nil, err
	}
	return place, nil
}

// OpenBackup opens one backup by its whole address: s3://bucket/prefix/name, or the path of a file. The caller closes it.
func OpenBackup(ctx context.Context, address string, s Settings) (io.ReadCloser, error) {
	if !strings.HasPrefix(address, schemeS3) {
		return os.Open(address)
	}
	bucket, name, err := parseS3(address)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, Suffix) {
		return nil, fmt.Errorf("%s: %w", address, ErrNoName)
	}
	place, err := openS3(bucket, "", s)
	if err != nil {
		return nil, err
	}
	return place.Open(ctx, name)
}

const schemeS3 = "s3://"

// ErrNoName means that an address of S3 is that of a place, not of one backup in it. Find tells which there are.
var ErrNoName = errors.New("no backup's name: that ends in " + Suffix)

// Found is a backup that lies in S3, by its whole address.
type Found struct {
	Address string
	Written time.Time
}

// Find returns the backups below an address of S3, the latest first.
func Find(ctx context.Context, address string, s Settings) ([]Found, error) {
	bucket, prefix, err := parseS3(address)
	if err != nil {
		return nil, err
	}
	place, err := openS3(bucket, prefix, s)
	if err != nil {
		return nil, err
	}
	return place.find(ctx)
}

func parseS3(address string) (bucket, prefix string, err error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "s3" || u.Host == "":
		return "", "", fmt.Errorf("%q is neither s3://bucket/prefix nor an absolute path", address)
	case u.User != nil || u.RawQuery != "":
		return "", "", errors.New("an s3 address is a bucket and a prefix, and holds no credentials")
	}
	return u.Host, strings.Trim(u.Path, "/"), nil
}

// counter counts what goes through.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	return n, err
}
