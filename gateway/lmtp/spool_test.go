package lmtp

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ticketgate/store"
)

func spooled(t *testing.T, pool *spooler, ctx context.Context, size int) (*Spool, []byte) {
	t.Helper()
	line := []byte("0123456789abcdef")
	want := bytes.Repeat(line, size/len(line))
	s := pool.spool(ctx, 0)
	for range size / len(line) {
		s.write(line)
	}
	s.finish()
	t.Cleanup(s.Close)
	return s, want
}

func TestSpoolSizes(t *testing.T) {
	dir := t.TempDir()
	pool := newSpooler(Options{SpoolDir: dir}.withDefaults())
	for _, size := range []int{0, 16, spoolMemory, spoolMemory + 16, 5*spoolMemory + 160} {
		s, want := spooled(t, pool, t.Context(), size)
		got, err := s.Bytes()
		if err != nil || !bytes.Equal(got, want) || s.Size() != int64(size) {
			t.Errorf("%d: %d octets, %v", size, len(got), err)
		}
		if inFile := s.file != nil; inFile != (size > spoolMemory) {
			t.Errorf("%d: in a file: %v", size, inFile)
		}
		s.Close()
		if _, err := s.Bytes(); err == nil {
			t.Error("bytes after close")
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// fullFile takes a while and then has no room.
type fullFile struct {
	spoolFile
	room int
}

func (f *fullFile) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, &os.PathError{Op: "write", Path: "spool", Err: syscall.ENOSPC}
	}
	return f.spoolFile.Write(p)
}

// TestDiskFull fills the disk in the middle of a message: 452 for each
// recipient, in step, and it works again by itself.
func TestDiskFull(t *testing.T) {
	backend := &memory{}
	opt := Options{SpoolDir: t.TempDir()}
	s := serve(t, opt, backend)
	full := true
	s.spools.create = func() (spoolFile, error) {
		f, err := createUnnamed(opt.SpoolDir)
		if !full {
			return f, err
		}
		return &fullFile{f, 2 * spoolMemory}, err
	}
	large := "MAIL FROM:<>\r\nRCPT TO:<a@desk.example>\r\nRCPT TO:<b@desk.example>\r\nDATA\r\n" +
		strings.Repeat("0123456789abcdef\r\n", 200000) + ".\r\nNOOP\r\nQUIT\r\n"
	got := talk(t, s, "LHLO x\r\n"+large)
	want := "\r\n452 4.3.1 <a@desk.example> No room for the message at present\r\n" +
		"452 4.3.1 <b@desk.example> No room for the message at present\r\n250 "
	if !strings.Contains(got, want) || len(backend.kept()) != 0 {
		t.Errorf("got %q", got)
	}
	full = false
	if got := talk(t, s, "LHLO x\r\n"+large); strings.Count(got, "Stored as") != 2 {
		t.Errorf("afterwards: %q", got)
	}
}

// TestMemoryBudget has two large messages where there is room for one.
func TestMemoryBudget(t *testing.T) {
	pool := newSpooler(Options{SpoolDir: t.TempDir(), MemoryBudget: spoolMemory}.withDefaults())
	first, _ := spooled(t, pool, t.Context(), 2*spoolMemory)
	if _, err := first.Bytes(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	second, _ := spooled(t, pool, short, 2*spoolMemory)
	if _, err := second.Bytes(); store.CodeOf(err) != store.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	third, want := spooled(t, pool, t.Context(), 2*spoolMemory)
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := third.Bytes(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d octets, %v", len(got), err)
		}
	})
	first.Close()
	wg.Wait()
}
