package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/peeked"
)

// reach is how the command line comes to the clusters' own APIs: through the member that is asked, with TLS from end to end,
// as the person whose certificate this is.
type reach struct {
	fleet   *fleet
	members v1alpha1.MemberList
	person  *clientcmdapi.AuthInfo
	known   knownKeys
	talk    io.Writer
}

// reachClusters asks the member who the others are, and finds out who the person is: over a socket the one of admin.pem beside
// it, which is made when there is none.
func reachClusters(ctx context.Context, c *cli.Context) (*reach, error) {
	f, err := connect(c, nil)
	if err != nil {
		return nil, err
	}
	r := &reach{fleet: f, talk: c.App.ErrWriter}
	if _, err := f.read(ctx, request{path: v1alpha1.PathMembers}, &r.members); err != nil {
		return nil, err
	}
	if f.kubeconfig != nil {
		r.known = keysIn(f.kubeconfig, r.members.Fleet)
	}
	r.person, err = f.credential(ctx, c, r.members.Member)
	return r, err
}

// clusters are the names of those that are asked: all, or the ones that were named.
func (r *reach) clusters(named []string) ([]string, error) {
	var all []string
	for _, m := range r.members.Members {
		all = append(all, m.Cluster)
	}
	slices.Sort(all)
	for _, n := range named {
		if !slices.Contains(all, n) {
			return nil, usage("cluster "+n+": not in fleet "+r.members.Fleet+didYouMean(n, all), hint{"all clusters", "get clusters"})
		}
	}
	if len(named) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(named))), nil
	}
	return all, nil
}

// tunnelTime is how long the member that is asked may take to find a way.
const tunnelTime = 12 * time.Second

// dial comes to a cluster's member through the one that is asked. What is sent on it is not secret to that one: TLS is for
// the caller to speak.
func (r *reach) dial(ctx context.Context, cluster string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tunnelTime)
	defer cancel()
	conn, err := r.fleet.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	in := bufio.NewReader(conn)
	if err = r.ask(conn, in, cluster); err == nil && stop() {
		return peeked.Conn{Conn: conn, Ahead: in}, nil
	}
	conn.Close()
	if ctx.Err() != nil {
		err = fmt.Errorf("%s found no way to %s in time", r.members.Member, cluster)
	}
	return nil, noWay(cluster, err)
}

// noWay says what to do when a cluster's member is not reached: what runs there goes on, and the fleet knows how it was.
func noWay(cluster string, err error) error {
	return &failure{code: exitError, why: err.Error(), hints: []hint{
		{"see which members are heard", "status"},
		{"see what was last known of " + cluster, "get works -l " + v1alpha1.LabelCluster + "=" + cluster + " -o wide"},
	}}
}

// ask asks for a tunnel, and reads the answer.
func (r *reach) ask(out io.Writer, in *bufio.Reader, cluster string) error {
	_, err := fmt.Fprintf(out, "GET %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hanse\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n",
		v1alpha1.PathTunnel, url.PathEscape(cluster), r.members.ServerName, v1alpha1.UpgradeTunnel)
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	defer answer.Body.Close()
	var status metav1.Status
	if json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&status) != nil || status.Message == "" {
		return fmt.Errorf("%s answers %s", r.members.Member, answer.Status)
	}
	return errors.New(status.Message)
}

// dial connects to the member that is asked.
func (f *fleet) dial(ctx context.Context) (net.Conn, error) {
	if f.socket != "" {
		return new(net.Dialer).DialContext(ctx, "unix", f.socket)
	}
	config, err := rest.TLSConfigFor(f.config)
	if err != nil {
		return nil, err
	}
	server, err := url.Parse(f.config.Host)
	if err != nil {
		return nil, err
	}
	address := server.Host
	if server.Port() == "" {
		address = net.JoinHostPort(server.Hostname(), "443")
	}
	if config == nil {
		config = &tls.Config{}
	}
	config.NextProtos = []string{"http/1.1"}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
}
