package testbed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// writeKubeconfig writes a file with one context, named like the cluster. It holds the keys itself, so that it can
// be copied anywhere.
func writeKubeconfig(path, pki, cluster, server, certFile, keyFile string) error {
	ca, errCA := os.ReadFile(filepath.Join(pki, fileCA))
	cert, errCert := os.ReadFile(filepath.Join(pki, certFile))
	key, errKey := os.ReadFile(filepath.Join(pki, keyFile))
	if err := errors.Join(errCA, errCert, errKey); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	config := api.NewConfig()
	config.Clusters[cluster] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[cluster] = &api.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[cluster] = &api.Context{Cluster: cluster, AuthInfo: cluster}
	config.CurrentContext = cluster
	return saveKubeconfig(path, config)
}

// mergeKubeconfigs writes one file with the contexts of all.
func mergeKubeconfigs(path string, from []string) error {
	merged := api.NewConfig()
	for _, f := range from {
		one, err := clientcmd.LoadFromFile(f)
		if err != nil {
			return fmt.Errorf("merge kubeconfigs: %w", err)
		}
		for name := range one.Contexts {
			merged.Clusters[name] = one.Clusters[name]
			merged.AuthInfos[name] = one.AuthInfos[name]
			merged.Contexts[name] = one.Contexts[name]
		}
	}
	return saveKubeconfig(path, merged)
}

func saveKubeconfig(path string, config *api.Config) error {
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return writeFile(path, data)
}

// writeFile replaces a file: a reader sees the old content or the new.
func writeFile(path string, data []byte) error {
	err := os.WriteFile(part(path), data, 0o600)
	if err == nil {
		err = os.Rename(part(path), path)
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// part is the name of a file, or a folder, that is being written.
func part(path string) string { return path + ".part" }
