package v1alpha1

import (
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// minBackupEvery is the least time between two backups.
	minBackupEvery = time.Minute
	maxRecipients  = 32
	// maxBackupTo leaves room for a backup's name in MaxBackupPlace.
	maxBackupTo = MaxBackupPlace / 2
	// backupAtForm is a time of the day.
	backupAtForm = "15:04"
)

func validateBackup(at *field.Path, b *BackupSpec) field.ErrorList {
	if b == nil {
		return nil
	}
	var errs field.ErrorList
	if b.Every.Duration < minBackupEvery {
		errs = append(errs, field.Invalid(at.Child("every"), b.Every.Duration.String(), "must be one minute at least"))
	}
	if _, err := b.Offset(); err != nil {
		errs = append(errs, field.Invalid(at.Child("at"), b.At, "must be a time of the day, UTC, as 03:00"))
	}
	errs = append(errs, validateRecipients(at.Child("recipients"), b.Recipients)...)
	if !isPlace(b.To) || len(b.To) > maxBackupTo {
		errs = append(errs, field.Invalid(at.Child("to"), b.To, "must be s3://bucket/prefix, without credentials, or an absolute path, of 512 bytes at most"))
	}
	if u, err := url.Parse(b.Endpoint); b.Endpoint != "" && (err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http") {
		errs = append(errs, field.Invalid(at.Child("endpoint"), b.Endpoint, "must be a URL https://host:port"))
	}
	return append(errs, validateRetention(at.Child("retention"), b)...)
}

// validateRetention refuses also what the fleet could not carry out: it deletes only what it remembers.
func validateRetention(at *field.Path, b *BackupSpec) field.ErrorList {
	r := b.Retention
	switch {
	case r == nil:
		return nil
	case r.Keep < 0 || r.For.Duration < 0 || r.Keep == 0 && r.For.Duration == 0:
		return field.ErrorList{field.Invalid(at, r.Keep, "must say keep, or for, or both")}
	case r.Keep > MaxBackups || r.For.Duration/max(b.Every.Duration, minBackupEvery) > MaxBackups:
		return field.ErrorList{field.Invalid(at, r.Keep, "must not keep more than the 1000 backups that the fleet remembers: keep fewer, or make them less often")}
	}
	return nil
}

// validateRecipients checks their form; whether one is a key is found out by who encrypts to it.
func validateRecipients(at *field.Path, all []string) field.ErrorList {
	var errs field.ErrorList
	if len(all) == 0 || len(all) > maxRecipients {
		errs = append(errs, field.Required(at, "a backup is never written unencrypted: 1 to 32 age recipients"))
	}
	quantum := 0
	for i, r := range all {
		if !strings.HasPrefix(r, "age1") || len(r) > 4096 || strings.Trim(r, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
			errs = append(errs, field.Invalid(at.Index(i), r, "must be an age recipient, age1…"))
		}
		if strings.HasPrefix(r, "age1pq1") {
			quantum++
		}
	}
	if quantum > 0 && quantum < len(all) {
		errs = append(errs, field.Invalid(at, quantum, "post-quantum recipients (age1pq1…) and others (age1…) cannot share one backup"))
	}
	return errs
}

func isPlace(to string) bool {
	if strings.HasPrefix(to, "/") {
		return true
	}
	u, err := url.Parse(to)
	return err == nil && u.Scheme == "s3" && u.Host != "" && u.User == nil && u.RawQuery == ""
}

// Offset is how long after midnight, UTC, backups are counted from.
func (b BackupSpec) Offset() (time.Duration, error) {
	if b.At == "" {
		return 0, nil
	}
	t, err := time.Parse(backupAtForm, b.At)
	if err != nil {
		return 0, err
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Due is the latest time at or before now that a backup is due at.
func (b BackupSpec) Due(now time.Time) time.Time {
	every := max(b.Every.Duration, minBackupEvery)
	offset, err := b.Offset()
	if err != nil {
		offset = 0
	}
	now = now.UTC()
	first := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).Add(offset)
	return first.Add(now.Sub(first) / every * every)
}
