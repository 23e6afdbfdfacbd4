package agent

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
)

// The API and the place judge an address each by itself, since neither room knows of the other. What one takes, the other takes.
func TestAPlaceThatTheAPITakesCanBeOpened(t *testing.T) {
	for _, to := range []string{
		"s3://bucket", "s3://bucket/a/b/", "s3://", "s3:///a", "s3:bucket", "S3://bucket", "s3://key:secret@bucket/x", "s3://key@bucket", "s3://bucket?x=y", "s3://bucket#x",
		"/var/backups", "/", "var/backups", "./x", "", " ", "https://host/x", "file:///x", "s3://bu cket", "s3://bucket/%zz",
	} {
		spec := &v1alpha1.BackupSpec{Every: metav1.Duration{Duration: time.Hour}, Recipients: []string{"age1x"}, To: to}
		errs := v1alpha1.ValidateFleet(&v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.FleetSpec{Voters: 3, Backup: spec}}, "acme")
		if err := backup.CheckPlace(to); (err == nil) != (len(errs) == 0) {
			t.Errorf("%q: the API says %v, the place %v", to, errs, err)
		}
	}
}
