package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"
)

// redisSettings asks a single Redis how it keeps what it is given. Clusters and
// managed servers that don't tell are left alone.
func (f *findings) redisSettings(ctx context.Context, c *Config) {
	options, err := redis.ParseURL(c.RedisURL.Reveal())
	if err != nil {
		return // a cluster, or Sentinel
	}
	options.MaxRetries, options.DialTimeout, options.ContextTimeoutEnabled = -1, 2*time.Second, true
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	if policy := setting(ctx, client, "maxmemory-policy"); policy != "" && policy != "noeviction" {
		f.add(LevelWarn, "redis: maxmemory-policy is %s: it must be noeviction, or entries of the queue vanish and come back late", policy)
	}
	if appendonly := setting(ctx, client, "appendonly"); appendonly == "no" {
		f.add(LevelWarn, "redis: appendonly is no: after a restart of Redis the queue is filled again from the ledger, late")
	}
}

func setting(ctx context.Context, client *redis.Client, name string) string {
	values, err := client.ConfigGet(ctx, name).Result()
	if err != nil {
		return ""
	}
	return values[name]
}

// crm asks the outside CRM for an address that nobody has. One that does not
// answer is no error: mail is taken all the same.
func (f *findings) crm(ctx context.Context, c *Config) {
	client, err := openCRM(c, CoreOptions{})
	if client == nil && err == nil {
		return
	}
	if err == nil {
		defer client.Close()
		err = client.Probe(ctx)
	}
	if err != nil {
		f.add(LevelWarn, "crm: %s does not answer as it should, mail gets provisional contacts: %v", originOfCRM(c.CRM.URL), err)
		return
	}
	f.add(LevelOK, "crm: %s", originOfCRM(c.CRM.URL))
}

// originOfCRM names the CRM without the rest of its URL, which may hold a key.
func originOfCRM(where URL) string {
	u, err := url.Parse(where.Reveal())
	if err != nil {
		return where.Scheme()
	}
	return u.Scheme + "://" + u.Host
}

// probeTimeout bounds the look at the smarthost.
const probeTimeout = 10 * time.Second

// probeSmarthost greets the next hop as a delivery would, logs in where the URL
// says so, and sends nothing.
func probeSmarthost(ctx context.Context, where URL, hostname string) error {
	if where.Scheme() == "dir" {
		return probeFolder(where.Rest())
	}
	u, err := url.Parse(where.Reveal())
	if err != nil {
		return errors.New("is no URL")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), or(u.Port(), smtpPorts[u.Scheme])))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	return greet(conn, u, hostname)
}

var smtpPorts = map[string]string{"smtp": "25", "smtps": "465", "smtp+starttls": "587", "smtp+insecure": "25"}

// greet says EHLO with as much TLS as the scheme demands.
func greet(conn net.Conn, u *url.URL, hostname string) error {
	secure := &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	client, err := (*smtp.Client)(nil), error(nil)
	switch u.Scheme {
	case "smtps":
		client = smtp.NewClient(tls.Client(conn, secure))
	case "smtp+starttls":
		client, err = smtp.NewClientStartTLS(conn, secure)
	default:
		client = smtp.NewClient(conn)
	}
	if err != nil {
		return err
	}
	if err := client.Hello(hostname); err != nil {
		return err
	}
	password, withPassword := u.User.Password()
	if withPassword && (u.Scheme == "smtps" || u.Scheme == "smtp+starttls") {
		if err := client.Auth(sasl.NewPlainClient("", u.User.Username(), password)); err != nil {
			return err
		}
	}
	return client.Quit()
}

// probeFolder looks whether mails can be written to a folder, or it can be made.
func probeFolder(path string) error {
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			return unix.Access(path, unix.W_OK)
		case err == nil:
			return fmt.Errorf("%s is no folder", path)
		case !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path:
			return err
		}
		path = filepath.Dir(path)
	}
}
