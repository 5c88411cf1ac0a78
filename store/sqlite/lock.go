package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"ticketgate/store"
)

// lockFile takes the lock of a file, which ends when the file is closed or the
// process dies. Where somebody has it, it waits or refuses.
func lockFile(path string, wait bool) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unavailable("open the lock of the database", err)
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &store.Error{Code: store.CodeConflict, Reason: store.ReasonInUse,
			Message: "another daemon serves this database", Err: err}
	}
	return nil, unavailable("lock the database", err)
}
