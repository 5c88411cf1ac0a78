package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// masterSecrets gives the secrets that sign tokens and seal what is secret at
// rest: those of the configuration, else the one in DataDir, which is made when
// it is not there yet.
func masterSecrets(c *Config) ([]string, error) {
	if len(c.Secrets) > 0 {
		all := make([]string, len(c.Secrets))
		for i, s := range c.Secrets {
			all[i] = s.Reveal()
		}
		return all, nil
	}
	file := c.secretFile()
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(file); err != nil {
			return nil, fmt.Errorf("make the master secret: %w", err)
		}
	}
	text, err := readPrivate(file)
	if err != nil {
		return nil, fmt.Errorf("master secret: %w", err)
	}
	if len(text) < minSecret {
		return nil, fmt.Errorf("master secret: %s is too short: at least %d characters", file, minSecret)
	}
	return []string{text}, nil
}

// makeSecret writes a fresh secret whole or not at all. Of two processes that
// do so at once one wins, and both then read that one's.
func makeSecret(file string) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails since Go 1.24
	err := writeOnce(file, base64.RawURLEncoding.EncodeToString(key)+"\n")
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// writeOnce makes a file with mode 0600 that is whole from its first moment and
// synced; a file that is there already stays, and is fs.ErrExist.
func writeOnce(path, text string) error {
	temp, err := writeTemp(path, text)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }()
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// replaceFile is writeOnce for a file that may be there already.
func replaceFile(path, text string) error {
	temp, err := writeTemp(path, text)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeTemp writes a synced file beside path and gives its name.
func writeTemp(path, text string) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
