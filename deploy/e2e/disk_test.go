package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// D13: a full disk is 452 or 451 for each recipient, never 5xx and never 250;
// what was taken stays, and mail is taken again by itself when there is room.
func TestD13DiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("a small disk can't be mounted here: %v", err)
		}
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // the folder is removed anyway
	n := newNode(t, "DATA_DIR="+filepath.Join(dir, "data"))
	n.apply(quietDesk)
	body := strings.Repeat("all work and no play\r\n", 20)
	taken := 0
	send := func() int {
		code, _ := n.send("carla@ext.example", plain("carla@ext.example", fmt.Sprintf("mail %d", taken), fmt.Sprintf("%d@ext.example", taken), "", body))
		if code == 250 {
			taken++
		}
		return code
	}
	send()
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	refused := 0
	for range 2000 {
		if code := send(); code != 250 {
			refused = code
			break
		}
	}
	if refused != 451 && refused != 452 {
		t.Fatalf("on a full disk: %d after %d mails, want 451 or 452", refused, taken)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	within(t, 30*time.Second, "mail is taken again", func() bool { return send() == 250 })
	if got := len(n.tickets()); got != taken {
		t.Errorf("%d tickets, %d mails were answered 250", got, taken)
	}
}

// fill takes all room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); err != nil {
			return // full, as wanted
		}
	}
}
