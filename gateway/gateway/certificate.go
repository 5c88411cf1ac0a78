package gateway

import (
	"crypto/tls"
	"sync/atomic"
)

// certificate is a TLS certificate that is read again on demand. What is in use
// stays in use when the new files are no good.
type certificate struct {
	files   CertificateFiles
	current atomic.Pointer[tls.Certificate]
}

// newCertificate reads the files, or gives nil where none are named.
func newCertificate(files CertificateFiles) (*certificate, error) {
	if !files.Enabled() {
		return nil, nil
	}
	c := &certificate{files: files}
	return c, c.reload()
}

func (c *certificate) reload() error {
	fresh, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return err
	}
	c.current.Store(&fresh)
	return nil
}

// config gives the TLS settings of a listener, or nil for a plain one.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}
