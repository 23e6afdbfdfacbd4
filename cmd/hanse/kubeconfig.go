package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
)

func kubeconfigVerb() *cli.Command {
	return &cli.Command{
		Name:  "kubeconfig",
		Usage: "print a kubeconfig with which kubectl, and hanse from elsewhere, reach every member",
		UsageText: `kubectl --kubeconfig <(hanse kubeconfig) get bundles
hanse kubeconfig > acme.yaml        then, anywhere: hanse --config acme.yaml status

It holds a private key: the one in admin.pem of the data directory, made there if there is none.`,
		Flags:  connectionFlags(defaultTimeout),
		Action: kubeconfigAction,
	}
}

func kubeconfigAction(c *cli.Context) error {
	const doing = "kubeconfig"
	if err := noNames(c); err != nil {
		return during(doing, err)
	}
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return during(doing, err)
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	var members v1alpha1.MemberList
	if _, err := f.read(ctx, request{path: v1alpha1.PathMembers}, &members); err != nil {
		return during(doing, err)
	}
	credential, err := f.credential(ctx, c, members.Member)
	if err != nil {
		return during(doing, err)
	}
	text, err := clientcmd.Write(kubeconfigOf(members, "admin", credential))
	if err != nil {
		return during(doing, fmt.Errorf("encode: %w", err))
	}
	_, err = c.App.Writer.Write(text)
	return err
}

// kubeconfigOf has a context for every member, named as its cluster; the member asked is the current one.
func kubeconfigOf(members v1alpha1.MemberList, name string, user *clientcmdapi.AuthInfo) clientcmdapi.Config {
	config := *clientcmdapi.NewConfig()
	who := name + "@" + members.Fleet
	config.AuthInfos[who] = user
	config.CurrentContext = members.Member
	for _, m := range members.Members {
		if m.Server == "" {
			continue
		}
		config.Clusters[m.Cluster] = &clientcmdapi.Cluster{
			Server: m.Server, TLSServerName: members.ServerName, CertificateAuthorityData: []byte(m.Certificate),
		}
		config.Contexts[m.Cluster] = &clientcmdapi.Context{Cluster: m.Cluster, AuthInfo: who}
	}
	return config
}

// credential is who the kubeconfig speaks as: admin.pem beside the member's socket, made if there is none; asked
// by https, the one that asked.
func (f *fleet) credential(ctx context.Context, c *cli.Context, member string) (*clientcmdapi.AuthInfo, error) {
	if f.socket == "" {
		if err := rest.LoadTLSFiles(f.config); err != nil || len(f.config.CertData) == 0 {
			return nil, errors.New("the kubeconfig that this was asked with holds no certificate to pass on")
		}
		return &clientcmdapi.AuthInfo{ClientCertificateData: f.config.CertData, ClientKeyData: f.config.KeyData}, nil
	}
	file := filepath.Join(filepath.Dir(f.socket), adminFile)
	private, err := privateIn(c, filepath.Dir(file))
	var pair credential
	if err == nil {
		pair, err = readCredential(private, file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if pair, err = f.makeCredential(ctx, private, file, "admin-"+member); err == nil {
			fmt.Fprintf(c.App.ErrWriter, "made a key for user admin-%s, kept in %s\n", member, file)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &failure{code: exitError, why: file + ": " + innermost(err), hints: []hint{{words: "use the account that runs the agent"}}}
	}
	if err != nil {
		return nil, err
	}
	return &clientcmdapi.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}, nil
}

// readCredential reads a certificate and its key, PEM, from one file.
func readCredential(private *atrest.Key, file string) (credential, error) {
	text, err := private.ReadFile(file)
	if err != nil {
		return credential{}, fmt.Errorf("read %s: %w", file, err)
	}
	return parseCredential(file, text)
}
