package blob

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"ticketgate/store"
)

// temporary begins the name of a file that is not complete.
const temporary = ".new-"

// abandoned is the age from which an incomplete file is one of a dead process.
const abandoned = time.Hour

// files keeps each blob in a file below dir, in 256 folders by the first two
// digits of its hash. It implements store.Blobs.
type files struct {
	dir string

	mu      sync.Mutex      // guards durable
	durable map[string]bool // folders whose entry in dir this process has synced
}

func openFiles(dir string) (*files, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fault("make the folder of the blobs", err)
	}
	if err := syncFolder(filepath.Dir(dir)); err != nil {
		return nil, fault("make the folder of the blobs", err)
	}
	return &files{dir: dir, durable: map[string]bool{}}, nil
}

// path gives the file of a hash, which must be one: it becomes a file's name.
func (f *files) path(hash string) (string, error) {
	if b, err := hex.DecodeString(hash); err != nil || len(b) != 32 || hash != strings.ToLower(hash) {
		return "", store.Errorf(store.CodeInternal, "not the hash of a blob")
	}
	return filepath.Join(f.dir, hash[:2], hash), nil
}

// Put writes beside, syncs, renames and syncs the folder: the blob is there
// entirely or not at all, also after a crash.
func (f *files) Put(_ context.Context, hash string, data []byte) error {
	path, err := f.path(hash)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := f.folder(folder); err != nil {
		return fault("make a folder for blobs", err)
	}
	temp, err := os.CreateTemp(folder, temporary)
	if err != nil {
		return fault("write a blob", err)
	}
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		// What stays behind is swept.
		_ = os.Remove(temp.Name())
		return fault("write a blob", err)
	}
	return fault("write a blob", syncFolder(folder))
}

// folder makes a folder, durably. That it is there says nothing: another Put may
// have made it a moment ago, and a process that died may not have synced it.
func (f *files) folder(path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.durable[path] {
		return nil
	}
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := syncFolder(f.dir); err != nil {
		return err
	}
	f.durable[path] = true
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *files) Get(_ context.Context, hash string) ([]byte, error) {
	path, err := f.path(hash)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	return data, fault("read a blob", err)
}

// Delete removes a blob; one that is not there is no error.
func (f *files) Delete(_ context.Context, hash string) error {
	path, err := f.path(hash)
	if err != nil {
		return err
	}
	if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fault("delete a blob", err)
}

func (f *files) Has(_ context.Context, hash string) (bool, error) {
	path, err := f.path(hash)
	if err != nil {
		return false, err
	}
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, fault("look for a blob", err)
}

// List tells of all blobs, and removes what dead processes left incomplete.
func (f *files) List(ctx context.Context, fn func(hash string, mod time.Time) error) error {
	return filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || entry.IsDir() {
			return fault("list blobs", err)
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fault("list blobs", err)
		}
		name := entry.Name()
		if strings.HasPrefix(name, temporary) {
			if time.Since(info.ModTime()) > abandoned {
				return fault("remove an incomplete blob", os.Remove(path))
			}
			return nil
		}
		if own, err := f.path(name); err != nil || own != path {
			return nil // nothing of ours
		}
		return fn(name, info.ModTime())
	})
}

// fault makes the store's error of a file system's.
func fault(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*store.Error](err); ok {
		return err
	}
	e := &store.Error{Code: store.CodeUnavailable, Message: doing, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Code = store.CodeNotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Reason = store.ReasonDiskFull
	}
	return e
}
