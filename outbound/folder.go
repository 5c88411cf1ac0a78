package outbound

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// folder is the transport of dir:PATH: each message becomes a file there, named
// by its delivery, so that a second attempt writes the same file again.
type folder struct {
	path string
}

func (f *folder) send(_ context.Context, e envelope, raw []byte) result {
	if !e.final.pass() {
		return result{class: classDeferred, host: "dir", err: errGateShut}
	}
	if err := f.write(e.id+".eml", raw); err != nil {
		return result{class: classDeferred, host: "dir", err: err}
	}
	return result{class: classSent, host: "dir", reply: reply{code: 250, enhanced: "2.0.0", text: "written to a file"}}
}

// write makes the file appear whole or not at all, synced.
func (f *folder) write(name string, raw []byte) error {
	if err := os.MkdirAll(f.path, 0o750); err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.path, ".tmp-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already when all went well
	_, err = temp.Write(raw)
	err = errors.Join(err, temp.Chmod(0o640), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(f.path, name))
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (f *folder) probe(context.Context) result {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(f.path, 0o750)
	case err == nil && !info.IsDir():
		err = fmt.Errorf("%s is no folder", f.path)
	}
	if err != nil {
		return result{class: classRoute, host: "dir", err: err}
	}
	return result{class: classSent, host: "dir"}
}

func (f *folder) close() {}
