package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Strings from peers are hostile: these are the bounds that all of them pass before anything else sees them.
const (
	maxName      = 63
	maxMemberID  = 64
	maxVersion   = 64
	maxAddress   = 253 + 1 + 5
	maxAddresses = 16
	maxServer    = 512
	maxCert      = 4096
	maxRecipient = 4096
)

const (
	lowers  = "abcdefghijklmnopqrstuvwxyz"
	uppers  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	inLabel = lowers + uppers + digits + "-_."
)

// only reports whether s is made of the given characters and has between 1 and limit of them.
func only(s, chars string, limit int) bool {
	return s != "" && len(s) <= limit && !hasOther(s, chars)
}

func hasOther(s, chars string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(chars, r) })
}

// checkName takes what may name a fleet or a cluster: lower-case letters, digits, dots and dashes, a letter or digit
// at both ends. It may stand in a SPIFFE URI and in a Kubernetes object's name.
func checkName(what, s string) error {
	if !only(s, lowers+digits+"-.", maxName) || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return fmt.Errorf("%s %q: want 1 to %d of a-z, 0-9, dot and dash", what, clip(s), maxName)
	}
	return nil
}

func alphanumeric(b byte) bool { return strings.IndexByte(lowers+digits, b) >= 0 }

// checkLabel takes what may be a label's value, the empty string too.
func checkLabel(what, s string) error {
	if s != "" && !only(s, inLabel, maxName) {
		return fmt.Errorf("%s %q: want at most %d of a-z, A-Z, 0-9, dot, dash and underscore", what, clip(s), maxName)
	}
	return nil
}

func checkMemberID(id MemberID) error {
	if !only(string(id), lowers+digits+"-", maxMemberID) {
		return fmt.Errorf("member id %q: want 1 to %d of a-z, 0-9 and dash", clip(string(id)), maxMemberID)
	}
	return nil
}

func checkVersion(s string) error {
	if s != "" && !only(s, inLabel+"+", maxVersion) {
		return fmt.Errorf("version %q: want at most %d letters, digits and -_.+", clip(s), maxVersion)
	}
	return nil
}

func checkAddresses(list []string) error {
	if len(list) > maxAddresses {
		return fmt.Errorf("%d addresses: want at most %d", len(list), maxAddresses)
	}
	for _, a := range list {
		if err := CheckAddress(a); err != nil {
			return err
		}
	}
	return nil
}

// checkAddress takes host:port with a numeric port; the host is an IP address or a DNS name.
func CheckAddress(s string) error {
	if len(s) > maxAddress {
		return fmt.Errorf("address %q: too long", clip(s))
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("address %q: want host:port", clip(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q: want a port from 1 to 65535", clip(s))
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		return nil
	}
	if !only(host, inLabel, maxAddress) {
		return fmt.Errorf("address %q: want an IP address or a DNS name before the port", clip(s))
	}
	return nil
}

// checkServer takes the URL of an API, the empty string too.
func checkServer(s string) error {
	if s == "" {
		return nil
	}
	if len(s) > maxServer || hasOther(s, inLabel+":/[]") {
		return fmt.Errorf("server %q: want an https URL of at most %d characters", clip(s), maxServer)
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("server %q: want an https URL", clip(s))
	}
	return nil
}

// checkRecipient takes what may be an age recipient, the empty string too.
func checkRecipient(s string) error {
	if len(s) > maxRecipient || hasOther(s, inLabel) {
		return fmt.Errorf("recipient %q: want an age recipient of at most %d characters", clip(s), maxRecipient)
	}
	return nil
}

func checkCertificate(der []byte) (Pin, error) {
	if len(der) == 0 {
		return Pin{}, errors.New("certificate is missing")
	}
	if len(der) > maxCert {
		return Pin{}, fmt.Errorf("certificate of %d bytes: want at most %d", len(der), maxCert)
	}
	return PinOfDER(der)
}

// clip bounds what an error repeats of a peer's string; %q makes it printable.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
