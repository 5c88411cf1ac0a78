package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// addressesFile tells commands and tests where a daemon that chose its own
// ports listens. It is there while the daemon serves.
func (c *Config) addressesFile() string { return filepath.Join(c.DataDir, "addresses") }

// addresses gives the addresses of each face, as ParseAddress reads them.
func (d *Daemon) addresses() map[string][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string][]string{}
	for face, addrs := range d.addrs {
		for _, a := range addrs {
			all[face] = append(all[face], textOf(a))
		}
	}
	return all
}

func (d *Daemon) writeAddresses() error {
	text, err := json.Marshal(d.addresses())
	if err != nil {
		return err
	}
	return replaceFile(d.config.addressesFile(), string(text)+"\n")
}

func (d *Daemon) removeAddresses() {
	if err := os.Remove(d.config.addressesFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the file of addresses stays", "err", err)
	}
}

// IntakeAddress gives where a command reaches the daemon's LMTP listener: the
// configured address, or the one that a running daemon chose for port 0.
func (c *Config) IntakeAddress() (string, error) {
	if !c.LMTP.Listen[0].free() {
		return c.LMTP.Listen[0].String(), nil
	}
	data, err := os.ReadFile(c.addressesFile())
	if err != nil {
		return "", fmt.Errorf("lmtp.listen has port 0, and no daemon told its address: %w", err)
	}
	var all map[string][]string
	if err := json.Unmarshal(data, &all); err != nil || len(all[FaceLMTP]) == 0 {
		return "", fmt.Errorf("%s names no LMTP listener", c.addressesFile())
	}
	return all[FaceLMTP][0], nil
}

// firstSteps is what the first start has to say, in at most ten lines.
func firstSteps(c *Config, publicURL string) string {
	return fmt.Sprintf(`A new desk was made in %[1]s: channel Support, five statuses, admin %[2]s.
The admin's API token is in %[3]s. Try it:
  curl -H "Authorization: Bearer $(cat %[3]s)" %[4]s/api/v1/me
Next:
  ticketgate apply FILE                      makes mail accounts and agents (see deploy/example/desk.toml)
  ticketgate deliver MAIL.eml --to ADDRESS   hands in a first mail
  ticketgate dkim new DOMAIN                 makes a key to sign answers with
  ticketgate check                           tells what is not right yet
The API for people: %[4]s/api/docs
`, c.DataDir, c.AdminEmail, c.TokenFile(), publicURL)
}
