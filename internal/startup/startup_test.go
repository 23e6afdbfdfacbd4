package startup

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
)

const smaps = `00400000-027b9000 r-xp 00000000 00:30 1234                             /usr/bin/hanse
Rss:               28964 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
027b9000-05178000 r--p 023b9000 00:30 1234                             /usr/bin/hanse
Rss:               32380 kB
Anonymous:             0 kB
05178000-0524f000 rw-p 04d78000 00:30 1234                             /usr/bin/hanse
Rss:                 860 kB
Anonymous:           268 kB
0524f000-05300000 r--p 04d78000 00:30 1234                             /usr/bin/hanse
Rss:                 700 kB
Anonymous:           700 kB
7f0000000000-7f0000001000 r--p 00000000 00:30 99                       /usr/lib/libc.so
Rss:                   4 kB
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0                          [vdso]
Rss:                   4 kB
7f0000004000-7f0000005000 ---p 00000000 00:00 0
Rss:                   0 kB
`

func TestOnlyWhatTheFileHasIsGivenBack(t *testing.T) {
	got, err := pagesOf("/usr/bin/hanse", strings.NewReader(smaps))
	if err != nil || len(got) != 2 || got[0] != (span{0x400000, 0x27b9000, 28964 << 10}) || got[1] != (span{0x27b9000, 0x5178000, 32380 << 10}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := pagesOf("/usr/bin/other", strings.NewReader(smaps)); err != nil || len(got) != 0 {
		t.Errorf("of another program: %+v, %v", got, err)
	}
	for _, bad := range []string{"00400000 r-xp 0 0 0 x\n", "5-4 r-xp 0 0 0 x\n", "x-y r-xp 0 0 0 x\n"} {
		if got, err := pagesOf("x", strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

// The program goes on with what it needs, and has less of itself resident.
func TestAProgramGoesOnAfterItGaveItsPagesBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no kernel to tell")
	}
	before, err := GiveBack()
	if err != nil || before == 0 {
		t.Fatalf("%d bytes were there, %v", before, err)
	}
	text, err := json.Marshal(map[string]any{"a": []int{1}, "b": strings.Repeat("x", 100)})
	if err != nil || !json.Valid(text) {
		t.Errorf("%s, %v", text, err)
	}
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spans, err := pagesOf(self, file)
	if err != nil {
		t.Fatal(err)
	}
	var after int64
	for _, s := range spans {
		after += s.resident
	}
	if after >= before {
		t.Errorf("%d bytes of the program are resident, %d were", after, before)
	}
}
