package backup

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/backup/s3test"
)

// bucket is a place on a server of the test's own.
func bucket(t *testing.T) (*s3test.Server, Place) {
	t.Helper()
	server := s3test.New()
	t.Cleanup(server.Close)
	return server, openBucket(t, server.URL, s3test.AccessKey)
}

func openBucket(t *testing.T, endpoint, access string) Place {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "us-east-1")
	p, err := OpenPlace("s3://store/some/prefix", Settings{Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bytesOf(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

func read(t *testing.T, p Place, name string) ([]byte, error) {
	t.Helper()
	r, err := p.Open(t.Context(), name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestPlaces(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (Place, func() []string){
		"a folder": func(t *testing.T) (Place, func() []string) {
			dir := t.TempDir()
			p, err := OpenPlace(dir, Settings{})
			if err != nil {
				t.Fatal(err)
			}
			return p, func() (names []string) {
				filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
					if !d.IsDir() {
						names = append(names, strings.TrimPrefix(path, dir+"/"))
					}
					return nil
				})
				return names
			}
		},
		"a bucket": func(t *testing.T) (Place, func() []string) {
			server, p := bucket(t)
			return p, func() (names []string) {
				for _, n := range server.Names() {
					names = append(names, strings.TrimPrefix(n, "store/some/prefix/"))
				}
				return names
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			place, names := open(t)
			big := bytes.Repeat([]byte("0123456789abcdef"), (partSize+1000)/16)
			for _, data := range [][]byte{[]byte("small"), big} {
				if n, err := place.Put(t.Context(), "acme/1-x/1.hanse.age", bytesOf(data)); err != nil || n != int64(len(data)) {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
			if back, err := read(t, place, "acme/1-x/1.hanse.age"); err != nil || !bytes.Equal(back, big) {
				t.Errorf("%d bytes came back: %v", len(back), err)
			}
			if _, err := read(t, place, "acme/1-x/7.hanse.age"); err == nil {
				t.Error("read what is not there")
			}
			cause := errors.New("the state is gone")
			broken := func(w io.Writer) error { w.Write(big); return cause }
			if _, err := place.Put(t.Context(), "acme/1-x/2.hanse.age", broken); !errors.Is(err, cause) {
				t.Errorf("a write that failed: %v", err)
			}
			if diff := cmp.Diff([]string{"acme/1-x/1.hanse.age"}, names()); diff != "" {
				t.Error("what is there:", diff)
			}
			for range 2 {
				if err := place.Delete(t.Context(), "acme/1-x/1.hanse.age"); err != nil {
					t.Error(err)
				}
			}
			if n := names(); len(n) > 0 {
				t.Errorf("after deleting: %v", n)
			}
		})
	}
}

func TestABucketWithFaults(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 2*partSize)
	t.Run("that pass is written to", func(t *testing.T) {
		server, p := bucket(t)
		server.Fail(1)
		if _, err := p.Put(t.Context(), "acme/a", bytesOf(data)); err != nil || !bytes.Equal(server.Object("store/some/prefix/acme/a"), data) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("that last holds nothing", func(t *testing.T) {
		server, p := bucket(t)
		server.Fail(1000)
		if _, err := p.Put(t.Context(), "acme/a", bytesOf(data)); err == nil || !strings.Contains(err.Error(), "InternalError") {
			t.Errorf("got %v", err)
		}
		if n := server.Names(); len(n) > 0 {
			t.Errorf("there is %v", n)
		}
	})
	t.Run("that cuts every upload holds nothing", func(t *testing.T) {
		server, p := bucket(t)
		server.Cut(1000)
		if _, err := p.Put(t.Context(), "acme/a", bytesOf(data)); err == nil {
			t.Error("it was written")
		}
		if n := server.Names(); len(n) > 0 || server.Unfinished() > 0 {
			t.Errorf("there is %v, and %d unfinished", n, server.Unfinished())
		}
	})
	t.Run("that cuts a download does not end it well", func(t *testing.T) {
		server, p := bucket(t)
		server.Put("store/some/prefix/acme/a", data)
		server.Cut(1000)
		if back, err := read(t, p, "acme/a"); err == nil {
			t.Errorf("%d bytes of %d are whole", len(back), len(data))
		}
	})
	t.Run("that does not know us says so, and what to do", func(t *testing.T) {
		server, _ := bucket(t)
		p := openBucket(t, server.URL, "somebody")
		_, put := p.Put(t.Context(), "acme/a", bytesOf(data))
		_, open := p.Open(t.Context(), "acme/a")
		for _, err := range []error{put, open} {
			if err == nil || Advice(err) == "" {
				t.Errorf("got %v: %q", err, Advice(err))
			}
		}
		if !strings.Contains(put.Error(), "InvalidAccessKeyId") {
			t.Errorf("got %v", put)
		}
	})
	t.Run("tells what lies in it", func(t *testing.T) {
		server, _ := bucket(t)
		for _, name := range []string{"acme/1-a/00000000000000000002.hanse.age", "acme/1-a/00000000000000000010.hanse.age", "notes.txt"} {
			server.Put("store/some/prefix/"+name, nil)
		}
		server.Put("store/some/prefix-2/acme/1-a/00000000000000000012.hanse.age", nil)
		server.Put("store/another/acme/1-a/00000000000000000011.hanse.age", nil)
		found, err := Find(t.Context(), "s3://store/some/prefix", Settings{Endpoint: server.URL})
		if err != nil || len(found) != 2 || found[0].Address != "s3://store/some/prefix/acme/1-a/00000000000000000010.hanse.age" {
			t.Errorf("found %v, %v", found, err)
		}
	})
	t.Run("that is not there says what to look at", func(t *testing.T) {
		p := openBucket(t, "http://127.0.0.1:1", s3test.AccessKey)
		if _, err := p.Put(t.Context(), "acme/a", bytesOf(data)); !strings.Contains(Advice(err), "endpoint") {
			t.Errorf("got %v: %q", err, Advice(err))
		}
	})
}

func TestCredentialsInAFile(t *testing.T) {
	server, _ := bucket(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "somebody")
	file := filepath.Join(t.TempDir(), "s3")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = "+s3test.AccessKey+"\naws_secret_access_key = secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := OpenPlace("s3://store", Settings{Endpoint: server.URL, Credentials: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Put(t.Context(), "acme/a", bytesOf([]byte("x"))); err != nil || server.Object("store/acme/a") == nil {
		t.Errorf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"s3://bucket": true, "s3://bucket/a/b/": true, "/var/backups": true,
		"s3://": false, "https://host/x": false, "backups": false, "": false, "s3://key:secret@bucket/x": false, "s3://bucket?x=y": false,
	} {
		if err := CheckPlace(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestAnEndpointIsAHostAndNoMore(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://minio.local:9000": true, "http://minio.local/": true,
		"https://minio.local/store": false, "https://minio.local?x=y": false, "https://key:secret@minio.local": false, "minio.local": false,
	} {
		if _, err := OpenPlace("s3://bucket", Settings{Endpoint: endpoint}); (err == nil) != ok {
			t.Errorf("%q: %v", endpoint, err)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("it tells the secret: %v", err)
		}
	}
}

func TestNames(t *testing.T) {
	h := Header{Fleet: "acme", Epoch: 2, EpochID: "11111111-1111", Revision: 1 << 33}
	if diff := cmp.Diff("acme/2-11111111/00000000008589934592.hanse.age", h.Name()); diff != "" {
		t.Error(diff)
	}
	if fleet, revision, ok := ParseName(h.Name()); fleet != "acme" || revision != h.Revision || !ok {
		t.Errorf("read as %s %d %v", fleet, revision, ok)
	}
	for _, stranger := range []string{"", "acme/notes.txt", "acme/2-1/7.hanse.age", "../acme/2-1/00000000008589934592.hanse.age"} {
		if _, _, ok := ParseName(stranger); ok {
			t.Errorf("%q is one of ours", stranger)
		}
	}
}
