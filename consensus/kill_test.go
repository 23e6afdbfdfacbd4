package consensus_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// victimVariable makes the test binary a node on the directory it names, which writes until it is killed. It is encrypted to the identity
// in the other one, if there is one.
const (
	victimVariable   = "HANSE_TEST_VICTIM"
	identityVariable = "HANSE_TEST_VICTIM_IDENTITY"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimVariable); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}

// victim prints every key before it writes it, and again once the write is acknowledged.
func victim(dir string) {
	var key *atrest.Key
	with, err := age.ParseHybridIdentity(os.Getenv(identityVariable))
	if err == nil {
		key, err = atrest.Open(dir, with)
	}
	if err != nil && os.Getenv(identityVariable) != "" {
		fmt.Println("error", err)
		return
	}
	node, _, err := lone(dir, key)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("/k/%d-%d", os.Getpid(), i)
		if _, err := node.Propose(context.Background(), put(key, noise(rand.IntN(20_000)))); err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("acked", key)
	}
}

// lone opens a group of one on real files.
func lone(dir string, key *atrest.Key) (*consensus.Node, *store.Store, error) {
	timing := consensus.DefaultTiming()
	timing.Heartbeat, timing.Election, timing.Lease = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	timing.Snapshot = 20 * time.Millisecond
	state := store.New(nil)
	node, err := consensus.Open(consensus.Config{
		ID: "m1", Dir: dir, Store: state, Network: consensustest.NewNetwork(0).Endpoint("m1"), Timing: timing,
		SnapshotThreshold: 8, TrailingLogs: 4, Key: key,
	})
	if err != nil {
		return nil, nil, err
	}
	return node, state, node.Bootstrap()
}

func TestKill(t *testing.T) {
	nothingIsLost := func(t *testing.T, dir string, key *atrest.Key, identity string, times int) {
		s := seed(t)
		rng := rand.New(rand.NewPCG(s, 1))
		acked := map[string]bool{}
		for range times {
			for _, key := range killedRun(t, dir, identity, rng.IntN(60)) {
				acked[key] = true
			}
		}
		node, state, err := lone(dir, key)
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close()
		ctx, cancel := contextFor(t, 30*time.Second)
		defer cancel()
		if _, err := node.Read(ctx); err != nil {
			t.Fatal(err)
		}
		for key := range acked {
			if _, ok := state.View().Get(key); !ok {
				t.Errorf("%s was acknowledged and is lost", key)
			}
		}
		t.Logf("%d acknowledged writes, all there", len(acked))
		if len(acked) < times {
			t.Error("too few to say anything")
		}
	}
	t.Run("killed twenty times under writes, a node loses nothing it acknowledged", func(t *testing.T) {
		nothingIsLost(t, t.TempDir(), nil, "", 20)
	})
	t.Run("nor does one whose disk is encrypted", func(t *testing.T) {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		key, err := atrest.Make(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		nothingIsLost(t, dir, key, id.String(), 10)
	})
}

// killedRun runs a victim until it acknowledged a write, and some milliseconds more, and kills it.
func killedRun(t *testing.T, dir, identity string, more int) (acked []string) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"="+dir, identityVariable+"="+identity)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, key, _ := strings.Cut(lines.Text(), " ")
		if word != "acked" {
			t.Fatalf("the node said: %s", lines.Text())
		}
		if len(acked) == 0 {
			time.AfterFunc(time.Duration(more)*time.Millisecond, func() { victim.Process.Kill() })
		}
		acked = append(acked, key)
	}
	victim.Wait()
	return acked
}
