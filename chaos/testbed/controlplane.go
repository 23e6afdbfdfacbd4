package testbed

import (
	"fmt"
	"path/filepath"
)

// Programs of a cluster's control plane, as Cluster.Kill and Cluster.Start name them.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
)

// Programs are all that a cluster with a member runs.
var Programs = []string{Etcd, APIServer, ControllerManager, Member}

// etcd runs without fsync: what a killed process wrote is safe in the page cache, and a machine that dies takes the
// testbed with it anyway.
func (c *Cluster) etcd() program {
	client, peer := "https://"+c.site.hostport(portEtcd), "https://"+c.site.hostport(portEtcdPeer)
	return program{name: Etcd, path: c.binaries.Path(Etcd), tcp: []int{portEtcd, portEtcdPeer}, args: []string{
		"--name=" + c.site.Name,
		"--data-dir=" + c.path("etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + c.site.Name + "=" + peer,
		"--client-cert-auth", "--trusted-ca-file=" + c.pki(fileCA),
		"--cert-file=" + c.pki(fileServing), "--key-file=" + c.pki(fileServingKey),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + c.pki(fileCA),
		"--peer-cert-file=" + c.pki(fileServing), "--peer-key-file=" + c.pki(fileServingKey),
		"--log-level=warn",
	}}
}

// auditPolicy has written down who looked into pods and at their logs, and no more: nearly nothing, in a testbed without kubelets.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: Metadata, resources: [{group: "", resources: [pods, pods/log, pods/exec]}]}
  - {level: None}
`

// apiServer advertises a loopback address, which Endpoints may not hold: so it keeps none for itself.
func (c *Cluster) apiServer() program {
	return program{name: APIServer, path: c.binaries.Path(APIServer), tcp: []int{portAPIServer}, args: []string{
		"--bind-address=" + c.site.Address.String(),
		"--advertise-address=" + c.site.Address.String(),
		fmt.Sprintf("--secure-port=%d", portAPIServer),
		"--endpoint-reconciler-type=none",
		"--etcd-servers=https://" + c.site.hostport(portEtcd),
		"--etcd-cafile=" + c.pki(fileCA),
		"--etcd-certfile=" + c.pki(fileServing), "--etcd-keyfile=" + c.pki(fileServingKey),
		"--client-ca-file=" + c.pki(fileCA),
		"--tls-cert-file=" + c.pki(fileServing), "--tls-private-key-file=" + c.pki(fileServingKey),
		"--requestheader-client-ca-file=" + c.frontProxy(fileCA), "--requestheader-allowed-names=" + proxyName,
		"--requestheader-username-headers=X-Remote-User", "--requestheader-uid-headers=X-Remote-Uid",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.frontProxy(fileProxy), "--proxy-client-key-file=" + c.frontProxy(fileProxyKey),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki(fileAccountsKey),
		"--service-account-signing-key-file=" + c.pki(fileAccountsKey),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		"--allow-privileged",
		"--audit-policy-file=" + c.path(fileAuditPolicy), "--audit-log-path=" + c.AuditLog(),
		"--shutdown-delay-duration=0s",
	}}
}

// controllerManager leads no election: it is alone, and is to be back at once after a kill.
func (c *Cluster) controllerManager() program {
	return program{name: ControllerManager, path: c.binaries.Path(ControllerManager), tcp: []int{portControllerManager}, args: []string{
		"--bind-address=" + c.site.Address.String(),
		fmt.Sprintf("--secure-port=%d", portControllerManager),
		"--tls-cert-file=" + c.pki(fileServing), "--tls-private-key-file=" + c.pki(fileServingKey),
		"--kubeconfig=" + c.path(fileControllersKubeconfig),
		"--leader-elect=false",
		"--root-ca-file=" + c.pki(fileCA),
		"--service-account-private-key-file=" + c.pki(fileAccountsKey),
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--controllers=*,-node-ipam-controller,-node-lifecycle-controller,-taint-eviction-controller",
	}}
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }
func (c *Cluster) pki(name string) string  { return filepath.Join(c.dir, "pki", name) }

func (c *Cluster) frontProxy(name string) string { return filepath.Join(c.dir, "front-proxy", name) }
