package lmtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sync/semaphore"

	"ticketgate/store"
)

// spoolMemory is how much of a message stays in memory before it goes to a file.
const spoolMemory = 1 << 20

// spoolHint bounds what is set aside on the word of a SIZE parameter alone.
const spoolHint = 64 << 10

// Spool holds the bytes of one message, exactly as they came but for the dots
// of the transfer. It belongs to the transaction, which closes it after
// Backend.Deliver.
type Spool struct {
	pool *spooler
	ctx  context.Context // of the delivery; ends the wait for memory

	size   int64
	failed error // the first thing that kept the bytes from being kept

	mu     sync.Mutex // guards what follows, once the message is whole
	memory []byte     // the message, or what of it is not in the file yet
	file   spoolFile
	loaded []byte // the file's bytes, after Bytes
	weight int64  // taken of the memory budget
	closed bool
}

// spoolFile is what a spool needs of a file.
type spoolFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// spooler makes the spools of one server.
type spooler struct {
	limit  int64
	budget *semaphore.Weighted
	total  int64 // size of the budget
	create func() (spoolFile, error)
}

func newSpooler(opt Options) *spooler {
	return &spooler{
		limit:  opt.MaxMessageBytes,
		budget: semaphore.NewWeighted(opt.MemoryBudget),
		total:  opt.MemoryBudget,
		create: func() (spoolFile, error) { return createUnnamed(opt.SpoolDir) },
	}
}

// createUnnamed makes a temporary file without a name, so that nothing is left
// behind however the process ends.
func createUnnamed(dir string) (spoolFile, error) {
	f, err := os.CreateTemp(dir, "ticketgate-spool-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// spool makes an empty Spool. declared is the size that the client announced.
func (p *spooler) spool(ctx context.Context, declared int64) *Spool {
	hint := min(max(declared, 4<<10), spoolHint)
	return &Spool{pool: p, ctx: ctx, memory: make([]byte, 0, hint)}
}

// write adds bytes. After a failure it only counts them: the transfer has to be
// read to its end all the same, so that client and server stay in step.
func (s *Spool) write(p []byte) {
	s.size += int64(len(p))
	switch {
	case s.failed != nil:
	case s.size > s.pool.limit:
		s.fail(store.Errorf(store.CodeTooLarge, "message over the size limit"))
	default:
		s.memory = append(s.memory, p...)
		if len(s.memory) > spoolMemory {
			s.spill()
		}
	}
}

// finish is called once after the last write.
func (s *Spool) finish() {
	if s.failed == nil && s.file != nil {
		s.spill()
		s.memory = nil
	}
}

// spill moves what is in memory to the file.
func (s *Spool) spill() {
	if s.file == nil {
		file, err := s.pool.create()
		if err != nil {
			s.fail(diskError(err))
			return
		}
		s.file = file
	}
	if _, err := s.file.Write(s.memory); err != nil {
		s.fail(diskError(err))
		return
	}
	s.memory = s.memory[:0]
}

// fail gives up on keeping the message and frees what it took.
func (s *Spool) fail(err error) {
	s.failed = err
	s.memory = nil
	if s.file != nil {
		_ = s.file.Close() // a file without a name: closing it is all there is
		s.file = nil
	}
}

// diskError tells a full disk from other trouble with the file.
func diskError(err error) error {
	reason := ""
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		reason = store.ReasonDiskFull
	}
	return &store.Error{
		Code: store.CodeUnavailable, Reason: reason,
		Message: "the message could not be spooled", Err: err,
	}
}

// Size gives the number of bytes of the message.
func (s *Spool) Size() int64 { return s.size }

// Bytes gives the message. They may be read until Close, and not changed. A
// message that lies in a file is read into memory at the first call, which
// waits while other large messages use up the memory budget; its error has
// store.CodeUnavailable. Safe for concurrent use.
func (s *Spool) Bytes() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, store.Errorf(store.CodeInternal, "spool is closed")
	case s.failed != nil:
		return nil, s.failed
	case s.file == nil:
		return s.memory, nil
	case s.loaded == nil:
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	return s.loaded, nil
}

// load reads the file, within the memory budget. A message larger than the
// whole budget takes all of it.
func (s *Spool) load() error {
	weight := min(s.size, s.pool.total)
	if err := s.pool.budget.Acquire(s.ctx, weight); err != nil {
		return &store.Error{Code: store.CodeUnavailable, Message: "no memory for the message in time", Err: err}
	}
	data := make([]byte, s.size)
	if _, err := io.ReadFull(io.NewSectionReader(s.file, 0, s.size), data); err != nil {
		s.pool.budget.Release(weight)
		return diskError(fmt.Errorf("read spool: %w", err))
	}
	s.loaded, s.weight = data, weight
	return nil
}

// Close frees memory and file. It may be called more than once.
func (s *Spool) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.pool.budget.Release(s.weight)
	s.fail(s.failed)
	s.loaded = nil
}
