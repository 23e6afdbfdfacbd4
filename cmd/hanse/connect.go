package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/agent"
)

// defaultTimeout bounds verbs that do not wait for clusters.
const defaultTimeout = 30 * time.Second

const socketName = "hanse.sock"

// connectionFlags say which member to ask. Their environment variables are read by target, not by the flag
// parser, so that a flag wins over every variable.
func connectionFlags(timeout time.Duration) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "server", Usage: "member to ask, URL unix:///path/hanse.sock or https://host:port [$HANSE_SERVER]"},
		dataDirFlag(),
		dataIdentityFlag(),
		&cli.StringFlag{Name: "config", Usage: "kubeconfig FILE for https, made by kubeconfig [$HANSE_CONFIG]"},
		&cli.StringFlag{Name: "context", Usage: "NAME of the kubeconfig's context"},
		&cli.DurationFlag{Name: "timeout", Value: timeout, Usage: "give up after this TIME"},
	}
}

func dataDirFlag() cli.Flag {
	return &cli.StringFlag{Name: "data-dir", DefaultText: agent.DefaultDataDir, Usage: "the member's FOLDER [$HANSE_DATA_DIR]"}
}

func dataDir(c *cli.Context) string {
	for _, dir := range []string{c.String("data-dir"), os.Getenv("HANSE_DATA_DIR")} {
		if dir != "" {
			return dir
		}
	}
	return agent.DefaultDataDir
}

// fleet is a connection to one member.
type fleet struct {
	rest *rest.RESTClient
	// socket is the path of the member's socket; empty when it is asked by https.
	socket string
	server string
	config *rest.Config
	// kubeconfig is the one that the member is asked with, all of it; nil on a socket.
	kubeconfig *clientcmdapi.Config
	// again is the command that asks the same with more time.
	again string
	// talk is told, once, that the member is waited for.
	talk io.Writer
	told sync.Once
}

// target says which member is meant: a flag wins over the environment, a server over the data directory.
func target(c *cli.Context) (server, config string) {
	socket := func(dir string) string { return "unix://" + filepath.Join(dir, socketName) }
	switch {
	case c.IsSet("server"):
		config = c.String("config")
		if config == "" {
			config = os.Getenv("HANSE_CONFIG")
		}
		return c.String("server"), config
	case c.IsSet("config"):
		return "", c.String("config")
	case c.IsSet("data-dir"):
		return socket(c.String("data-dir")), ""
	case os.Getenv("HANSE_SERVER") != "":
		return os.Getenv("HANSE_SERVER"), os.Getenv("HANSE_CONFIG")
	case os.Getenv("HANSE_CONFIG") != "":
		return "", os.Getenv("HANSE_CONFIG")
	}
	return socket(dataDir(c)), ""
}

// connect prepares to ask a member; nothing is sent yet. Warnings of the member go to warnings, if that is not nil.
func connect(c *cli.Context, warnings io.Writer) (*fleet, error) {
	server, config := target(c)
	f := &fleet{server: server, talk: c.App.ErrWriter}
	f.again, _ = c.App.Metadata[metaAgain].(string)
	var err error
	if path, ok := strings.CutPrefix(server, "unix://"); ok {
		f.socket = path
		f.config = socketConfig(path)
	} else if f.config, f.kubeconfig, err = httpsConfig(server, config, c.String("context")); err != nil {
		return nil, err
	}
	if f.server == "" {
		f.server = f.config.Host
	}
	f.config.UserAgent = "hanse"
	f.config.QPS = -1
	f.config.WarningHandler = rest.NoWarnings{}
	if warnings != nil {
		f.config.WarningHandler = &warner{to: warnings}
	}
	f.config.NegotiatedSerializer = statusOnly()
	if f.rest, err = rest.UnversionedRESTClientFor(f.config); err != nil {
		return nil, fmt.Errorf("read %s: %w", config, err)
	}
	return f, nil
}

func socketConfig(path string) *rest.Config {
	return &rest.Config{Host: "http://member.hanse", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}

// httpsConfig reads a kubeconfig; server, when not empty, picks the context that has it.
func httpsConfig(server, file, context string) (cfg *rest.Config, raw *clientcmdapi.Config, err error) {
	if server != "" && !strings.HasPrefix(server, "https://") {
		return nil, nil, usage(fmt.Sprintf("server %q is neither unix:///path nor https://host:port", server))
	}
	if file == "" {
		return nil, nil, usage(server+": a member asked by https needs a kubeconfig: --config FILE or HANSE_CONFIG", hint{"make one beside a member's socket", "kubeconfig > FILE"})
	}
	if raw, err = clientcmd.LoadFromFile(file); err == nil {
		err = clientcmd.ResolveLocalPaths(raw)
	}
	if err != nil {
		return nil, nil, usagef("kubeconfig %s: %s", file, innermost(err))
	}
	if server != "" && context == "" {
		if context = contextOf(raw, server); context == "" {
			return nil, nil, usagef("kubeconfig %s knows no member at %s", file, server)
		}
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	cfg, err = clientcmd.NewDefaultClientConfig(*raw, overrides).ClientConfig()
	if err != nil {
		return nil, nil, usagef("kubeconfig %s: %s", file, innermost(err))
	}
	return cfg, raw, nil
}

func contextOf(raw *clientcmdapi.Config, server string) string {
	host := func(s string) string {
		if u, err := url.Parse(s); err == nil {
			return u.Host
		}
		return s
	}
	for name, ctx := range raw.Contexts {
		if cl := raw.Clusters[ctx.Cluster]; cl != nil && host(cl.Server) == host(server) {
			return name
		}
	}
	return ""
}

// statusOnly decodes what the API says when it refuses; everything else is read as plain JSON.
func statusOnly() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}

// warner prints each warning of a member once.
type warner struct {
	to   io.Writer
	said map[string]bool
}

func (w *warner) HandleWarningHeader(code int, _ string, text string) {
	if code != 299 || text == "" || w.said[text] {
		return
	}
	if w.said == nil {
		w.said = map[string]bool{}
	}
	w.said[text] = true
	fmt.Fprintln(w.to, escaped("warning: "+text))
}

// withTimeout bounds a verb by its --timeout; 0 is no bound.
func withTimeout(c *cli.Context) (context.Context, context.CancelFunc) {
	if d := c.Duration("timeout"); d > 0 {
		return context.WithTimeout(c.Context, d)
	}
	return context.WithCancel(c.Context)
}

// whileWatched bounds --watch: by --timeout when somebody said one.
func whileWatched(c *cli.Context) (context.Context, context.CancelFunc) {
	if c.IsSet("timeout") {
		return withTimeout(c)
	}
	return context.WithCancel(c.Context)
}
