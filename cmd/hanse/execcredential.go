package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/atrest"
)

// envExecInfo is where client-go says what it wants.
const envExecInfo = "KUBERNETES_EXEC_INFO"

// execGroup is the protocol's; its versions v1 and v1beta1 are the same as far as this goes.
const execGroup = "client.authentication.k8s.io/"

func credentialVerb() *cli.Command {
	return &cli.Command{
		Name:  "credential",
		Usage: "print a certificate and its key for clients of Kubernetes, which run this as their exec plugin",
		UsageText: `hanse credential --config FILE          the certificate in a kubeconfig that hanse kubeconfig wrote
hanse credential --identity FILE        a certificate and its key, PEM
hanse credential                        admin.pem of the data directory

For the access provider "hanse" of ClusterProfiles: the same certificate is good in every cluster of the fleet.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "kubeconfig FILE [$HANSE_CONFIG]"},
			&cli.StringFlag{Name: "context", Usage: "NAME of the kubeconfig's context"},
			&cli.StringFlag{Name: "identity", Usage: "PEM FILE"},
			dataDirFlag(),
			dataIdentityFlag(),
		},
		Action: credentialAction,
	}
}

func credentialAction(c *cli.Context) error {
	const doing = "credential"
	if err := noNames(c); err != nil {
		return during(doing, err)
	}
	version, err := execVersion(os.Getenv(envExecInfo))
	if err != nil {
		return during(doing, err)
	}
	person, err := personHere(c)
	if err != nil {
		return during(doing, err)
	}
	return during(doing, json.NewEncoder(c.App.Writer).Encode(clientauthentication.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: "ExecCredential"},
		Status: &clientauthentication.ExecCredentialStatus{
			ClientCertificateData: string(person.ClientCertificateData), ClientKeyData: string(person.ClientKeyData),
		},
	}))
}

// execVersion is the version that the client speaks, which the answer must be of. One who tries it by hand says none.
func execVersion(info string) (string, error) {
	if info == "" {
		return execGroup + "v1", nil
	}
	var asked metav1.TypeMeta
	if err := json.Unmarshal([]byte(info), &asked); err != nil {
		return "", usagef("%s: %s", envExecInfo, innermost(err))
	}
	if v, ok := strings.CutPrefix(asked.APIVersion, execGroup); asked.Kind != "ExecCredential" || !ok || v != "v1" && v != "v1beta1" {
		return "", usagef("%s asks for %q of %q; this answers ExecCredential of %sv1 and v1beta1", envExecInfo, asked.Kind, asked.APIVersion, execGroup)
	}
	return asked.APIVersion, nil
}

// personHere is the certificate that is given. No member is asked for it.
func personHere(c *cli.Context) (person *clientcmdapi.AuthInfo, err error) {
	config := c.String("config")
	if config == "" && !c.IsSet("data-dir") && !c.IsSet("identity") {
		config = os.Getenv("HANSE_CONFIG")
	}
	file, private := c.String("identity"), (*atrest.Key)(nil)
	switch {
	case file != "" && config != "":
		return nil, usage("either --config or --identity")
	case config != "":
		return personIn(config, c.String("context"))
	case file == "":
		file = filepath.Join(dataDir(c), adminFile)
		private, err = privateIn(c, dataDir(c))
	default:
		private, err = privateBeside(c, file)
	}
	if err != nil {
		return nil, err
	}
	pair, err := readCredential(private, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage(file+": not there", hint{"a kubeconfig holds one too; make it beside a member's socket", "kubeconfig > FILE"})
	}
	return &clientcmdapi.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}, err
}

func personIn(file, context string) (*clientcmdapi.AuthInfo, error) {
	config, _, err := httpsConfig("", file, context)
	if err != nil {
		return nil, err
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	if len(config.CertData) == 0 || len(config.KeyData) == 0 {
		return nil, usagef("kubeconfig %s: its user has no certificate with a key", file)
	}
	return &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}, nil
}
