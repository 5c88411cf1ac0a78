package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// masked stands for a secret wherever one is printed.
const masked = "***"

// Secret is text that no log, error or dump may show.
type Secret struct {
	text string
}

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal gives the text itself.
func (s Secret) Reveal() string { return s.text }

// String hides the text.
func (Secret) String() string { return masked }

// GoString hides the text from %#v.
func (Secret) GoString() string { return masked }

// LogValue hides the text.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText hides the text.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// minSecret is the length below which a master secret could be guessed.
const minSecret = 16

// secrets reads the master secrets: each the text itself, file:/path or
// env:NAME.
func (v value) secrets(into *[]Secret) error {
	texts, err := v.texts()
	if err != nil {
		return err
	}
	var all []Secret
	for _, text := range texts {
		plain, err := revealed(text)
		if err != nil {
			return err
		}
		if len(plain) < minSecret {
			return fmt.Errorf("is too short: at least %d characters", minSecret)
		}
		all = append(all, NewSecret(plain))
	}
	*into = all
	return nil
}

// secret reads one secret of another service: the text itself, file:/path or
// env:NAME.
func (v value) secret(into *Secret) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	plain, err := revealed(text)
	if err != nil {
		return err
	}
	if strings.ContainsFunc(plain, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return errors.New("holds a control character")
	}
	*into = NewSecret(plain)
	return nil
}

// revealed follows file: and env:; any other text is the secret itself.
func revealed(text string) (string, error) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "file":
		return readPrivate(rest)
	case "env":
		plain := os.Getenv(rest)
		if plain == "" {
			return "", fmt.Errorf("the variable %s is not set", rest)
		}
		return plain, nil
	}
	return text, nil
}

// readPrivate reads a secret's file, without the line end at its end.
func readPrivate(path string) (string, error) {
	if err := checkPrivate(path); err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// checkPrivate refuses a file that others than its owner and group can read.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", path)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("%s can be read by others (mode %04o): chmod o= it, and make a new secret if it was read", path, info.Mode().Perm())
	}
	return nil
}

var reference = regexp.MustCompile(`\$\{[^}]*\}`)

// expand puts ${env:NAME} and ${file:/path} into a URL, encoded so that no
// character of a password is read as part of the URL.
func expand(text string) (string, error) {
	var failed error
	full := reference.ReplaceAllStringFunc(text, func(ref string) string {
		inner := ref[2 : len(ref)-1]
		if !strings.HasPrefix(inner, "env:") && !strings.HasPrefix(inner, "file:") {
			failed = errors.Join(failed, fmt.Errorf("%s is neither ${env:NAME} nor ${file:/path}", ref))
			return ""
		}
		plain, err := revealed(inner)
		failed = errors.Join(failed, err)
		return percentEncode(plain)
	})
	return full, failed
}

// percentEncode writes every octet that is not unreserved (RFC 3986, 2.3) as %XX.
func percentEncode(text string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(unreserved, text[i]) >= 0 {
			b.WriteByte(text[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", text[i])
		}
	}
	return b.String()
}

// secretFile is where the master secret lies that the first start makes.
func (c *Config) secretFile() string { return filepath.Join(c.DataDir, "secret") }
