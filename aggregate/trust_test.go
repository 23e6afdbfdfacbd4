package aggregate

import "testing"

// FuzzTrust: whatever the cluster says of its front proxy, nobody is believed without an authority.
func FuzzTrust(f *testing.F) {
	f.Add("", `["front-proxy-client"]`, `["X-Remote-User"]`)
	f.Add("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n", `[]`, `[1]`)
	f.Add("-----BEGIN", `{`, "null")
	f.Fuzz(func(t *testing.T, authority, names, headers string) {
		got, err := readTrust(map[string]string{"requestheader-client-ca-file": authority, "requestheader-allowed-names": names, "requestheader-username-headers": headers})
		if (got == nil) != (err != nil) {
			t.Errorf("it is believed, and it is not: %v", err)
		}
		if got != nil && len(authority) < 100 {
			t.Errorf("an authority of %q is believed", authority)
		}
	})
}
