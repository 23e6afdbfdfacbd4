package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/transport"
)

// firstAdmin is the name of the User whose key Init makes.
const firstAdmin = "admin"

// Init founds a fleet: it makes the data directory, the member's identity and the first admin's certificate. The
// fleet exists once Run has been started on the directory. A directory that holds a member of this fleet is a
// *MemberExistsError.
func Init(o InitOptions) (InitResult, error) {
	if err := checkNames(o.Fleet, o.Cluster, o.Region, o.Zone); err != nil {
		return InitResult{}, err
	}
	me := self{Fleet: o.Fleet, Cluster: o.Cluster, Region: o.Region, Zone: o.Zone, Addresses: o.Addresses, Founder: true, Rollout: o.Rollout}
	if _, err := me.Addresses.completed(); err != nil {
		return InitResult{}, err
	}
	dir, _, release, err := newMember(o.DataDir, o.DataIdentity, &me)
	if err != nil {
		return InitResult{}, err
	}
	defer release()
	var recovery []string
	if o.Recovery != nil {
		if recovery, err = o.Recovery(); err != nil {
			return InitResult{}, err
		}
	}
	if err := errors.Join(NewPerson(dir.key, dir.admin(), firstAdmin), dir.writeRecoveryRecipients(recovery)); err != nil {
		return InitResult{}, err
	}
	return InitResult{AdminFile: dir.admin()}, dir.write(fileMember, me)
}

func (d dataDir) writeRecoveryRecipients(recipients []string) error {
	text, err := json.Marshal(recipients)
	if err != nil {
		return fmt.Errorf("encode %s: %w", fileRecovery, err)
	}
	return d.key.WriteFile(d.path(fileRecovery), text)
}

// recoveryRecipients are those that Init was told of, or made. Where the directory is encrypted nobody else has written them.
func (d dataDir) recoveryRecipients() (recipients []string, err error) {
	text, err := d.key.ReadFile(d.path(fileRecovery))
	if err == nil {
		err = json.Unmarshal(text, &recipients)
	}
	if err != nil {
		return nil, fmt.Errorf("read recovery recipients: %w; no fleet has begun in %s yet: found it again, with hanse init and a fresh --data-dir", err, d)
	}
	return recipients, nil
}

// checkNames wants DNS labels; the zone may be empty.
func checkNames(fleet, cluster, region, zone string) error {
	for field, name := range map[string]string{"fleet": fleet, "cluster": cluster, "region": region, "zone": zone} {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 && (field != "zone" || name != "") {
			return fmt.Errorf("%s %q: %s", field, name, problems[0])
		}
	}
	return nil
}

// newMember claims a data directory and makes the identity of a new incarnation in it, or takes up the one that an
// earlier try under the same names left: encrypted, when it is given what opens that. The caller writes member.json, last: until then the directory can be tried
// again.
func newMember(path string, with *age.HybridIdentity, me *self) (dir dataDir, identity transport.Identity, release func(), err error) {
	dir.folder = path
	if release, err = dir.claim(me.Fleet); err != nil {
		return dir, identity, nil, err
	}
	if dir.key, err = dir.keyOfNew(with); err == nil {
		identity, err = dir.identityOf(me.Fleet, me.Cluster)
	}
	if err != nil {
		release()
		return dir, identity, nil, err
	}
	me.Incarnation = identity.ID()
	return dir, identity, release, nil
}

func (d dataDir) identityOf(fleet, cluster string) (transport.Identity, error) {
	identity, err := transport.LoadIdentity(d.folder, d.key)
	switch {
	case err == nil && (identity.Fleet() != fleet || identity.Cluster() != cluster):
		return identity, fmt.Errorf("data directory %s has the key of %s of fleet %s; use another --data-dir", d, identity.Cluster(), identity.Fleet())
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return identity, err
	}
	if identity, err = transport.NewIdentity(fleet, cluster, transport.MemberID(uuid.NewString())); err != nil {
		return identity, err
	}
	return identity, transport.SaveIdentity(d.folder, d.key, identity)
}

// NewPerson makes a key and a self-signed certificate for a person, PEM, in a file that only its owner reads, of a data directory with
// that key or, with nil, anywhere: whole and synced, or not at all. A User with its pin lets the person in, and ends it too: the certificate does not expire.
func NewPerson(private *atrest.Key, file, name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make certificate of %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key of %s: %w", name, err)
	}
	return writePerson(func(text []byte) error { return private.WriteFile(file, text) }, cert, der)
}

// writePerson writes a certificate and its key, and clears what it had of the key.
func writePerson(write func(text []byte) error, cert, key []byte) error {
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	whole := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), private)
	for _, b := range [][]byte{key, private, whole} {
		defer clear(b)
	}
	return write(whole)
}

// adminPin reads the pin of the first admin.
func (d dataDir) adminPin() (string, error) {
	data, err := d.key.ReadFile(d.admin())
	defer clear(data)
	if err != nil {
		return "", fmt.Errorf("read first admin: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", fmt.Errorf("read first admin: %s does not begin with a certificate", d.admin())
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("read first admin: %w", err)
	}
	return v1alpha1.PinOf(cert.RawSubjectPublicKeyInfo), nil
}

// found writes the fleet's first transaction: its settings, the first cluster with its member, the first admin.
func (l *leader) found(ctx context.Context) error {
	if !l.self.Founder {
		return errors.New("the log is empty, and this member did not found the fleet")
	}
	pin, err := l.dir.adminPin()
	if err != nil {
		return err
	}
	terms := law.Terms{Cluster: l.self.Cluster, Region: l.self.Region, Zone: l.self.Zone, Voting: v1alpha1.VotingEligible, Rights: v1alpha1.RightsAdmin}
	member := store.Member{
		ID: l.id(), Cluster: terms.Cluster, Region: terms.Region, Eligible: true, Rights: string(terms.Rights),
		Certificate: l.identity.Certificate(), Pin: store.Pin(l.identity.Pin()), Addresses: l.self.Addresses.Advertise, Server: l.self.Addresses.server(),
		Applies: l.store.Applies(),
	}
	fleet := &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: newMeta(l.self.Fleet), Spec: v1alpha1.FleetSpec{
		Voters: v1alpha1.DefaultVoters, Rollout: l.self.Rollout, RecoveryRecipients: l.recovery,
	}}
	admin := &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: newMeta(firstAdmin), Spec: v1alpha1.UserSpec{Pin: pin, Role: v1alpha1.RoleAdmin}}
	var ops []store.Op
	var errs []error
	for _, w := range []struct {
		key   string
		value any
	}{
		{v1alpha1.KeyFleets + fleet.Name, fleet},
		{v1alpha1.KeyClusters + terms.Cluster, epoch.NewCluster(newMeta(terms.Cluster), terms, member, l.version)},
		{v1alpha1.KeyUsers + admin.Name, admin},
	} {
		op, err := law.Put(w.key, w.value)
		ops, errs = append(ops, op), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return l.write(ctx, []store.Condition{store.KeyAbsent(ops[0].Key)}, append(ops, store.PutMember(member))...)
}

// server is the URL of the API for people.
func (a Addresses) server() string { return "https://" + a.APIAdvertise }
