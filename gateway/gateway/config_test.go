package gateway

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes a file in a folder of the test and returns its path.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBrokenConfigurationIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		env  []string
		want string
	}{
		"unknown key": {
			file: "hostname = \"mx.example.org\"\n\n[lmtp]\nlisten_on = \"127.0.0.1:24\"\n",
			want: `c.toml:4: lmtp.listen_on: there is no such key`,
		},
		"unknown table": {
			file: "[mail]\n",
			want: `c.toml:1: mail: there is no such table`,
		},
		"array of tables": {
			file: "[[lmtp]]\nlisten = \"127.0.0.1:24\"\n",
			want: "c.toml:1: lmtp.0: there is no such table\nc.toml:2: lmtp.0.listen: there is no such key",
		},
		"no TOML": {
			file: "hostname = \"mx\"\nlisten = \n",
			want: `c.toml:2: unexpected character U+000A at start of value`,
		},
		"key twice": {
			file: "hostname = \"mx\"\nhostname = \"my\"\n",
			want: `c.toml:2: key hostname is already defined`,
		},
		"empty listen address": {
			file: "lmtp.listen = \"\"\n",
			want: `c.toml:1: lmtp.listen: must not be empty`,
		},
		"empty list": {
			file: "[lmtp]\nlisten = []\n",
			want: `c.toml:2: lmtp.listen: must not be empty`,
		},
		"address without port": {
			file: "http.listen = [\"127.0.0.1:8025\", \"127.0.0.1\"]\n",
			want: `c.toml:1: http.listen: "127.0.0.1" is no address: want host:port or unix:/path`,
		},
		"port out of range": {
			file: "http.listen = \"127.0.0.1:80250\"\n",
			want: `c.toml:1: http.listen: "127.0.0.1:80250" is no address: want host:port or unix:/path`,
		},
		"open listener": {
			file: "[lmtp]\nlisten = \"0.0.0.0:2424\"\n",
			want: `c.toml:2: lmtp.listen: 0.0.0.0:2424 can be reached from other machines: name in lmtp.allow the networks that may use it`,
		},
		"open SMTP listener by environment": {
			env:  []string{"TICKETGATE_SMTP_LISTEN=:2525"},
			want: `TICKETGATE_SMTP_LISTEN: smtp.listen: :2525 can be reached from other machines: name in smtp.allow the networks that may use it`,
		},
		"network": {
			file: "lmtp.allow = [\"10.0.0.0/33\"]\n",
			want: `c.toml:1: lmtp.allow: "10.0.0.0/33" is no network: want 192.0.2.0/24 or an address`,
		},
		"time without unit": {
			file: "shutdown_timeout = 30\n",
			want: `c.toml:1: shutdown_timeout: must be a time with its unit, such as "30s": must be text in quotes, not a number`,
		},
		"time in words": {
			env:  []string{"TICKETGATE_OUTBOUND_MAX_AGE=3 days"},
			want: `TICKETGATE_OUTBOUND_MAX_AGE: "3 days" is no time: want a number with its unit, such as 30s, 5m or 72h`,
		},
		"size": {
			file: "lmtp.max_message_bytes = \"lots\"\n",
			want: `c.toml:1: lmtp.max_message_bytes: "lots" is no size: want bytes, or a number with KiB, MiB or GiB`,
		},
		"size out of range": {
			file: "lmtp.max_message_bytes = 10\n",
			want: `c.toml:1: lmtp.max_message_bytes: 10 bytes are out of range: 1 KiB to 2 GiB`,
		},
		"number": {
			env:  []string{"TICKETGATE_OUTBOUND_WORKERS=many"},
			want: `TICKETGATE_OUTBOUND_WORKERS: "many" is no number`,
		},
		"number out of range": {
			file: "outbound.workers = 0\n",
			want: `c.toml:1: outbound.workers: 0 is out of range: 1 to 1000`,
		},
		"host name": {
			file: "hostname = \"mx example\"\n",
			want: `c.toml:1: hostname: "mx example" is no host name`,
		},
		"sealer": {
			file: "arc.trusted_sealers = [\"relay.example\", \"not one\"]\n",
			want: `c.toml:1: arc.trusted_sealers: "not one" is no host name`,
		},
		"ticket key": {
			file: "key = [\"T\", \"TICKETGATE\"]\n",
			want: `c.toml:1: key: "TICKETGATE" is no ticket key: it has 1 to 8 letters`,
		},
		"store": {
			file: "store.url = \"mysql://localhost/desk\"\n",
			want: `c.toml:1: store.url: "mysql://localhost/desk" has none of the forms sqlite:PATH, postgres://, postgresql://`,
		},
		"store without host": {
			file: "store.url = \"postgres:///desk\"\n",
			want: `c.toml:1: store.url: "postgres:///desk" names no host`,
		},
		"password is not shown": {
			file: "store.url = \"postgres://desk:hunter2%zz@db/desk\"\n",
			want: `c.toml:1: store.url: "postgres://desk:***@db/desk" is no URL; a password with special characters is best given as ${env:NAME} or ${file:/path}`,
		},
		"variable in URL is missing": {
			file: "redis.url = \"redis://:${env:TICKETGATE_NO_SUCH}@redis:6379\"\n",
			want: `c.toml:1: redis.url: the variable TICKETGATE_NO_SUCH is not set`,
		},
		"address books without http": {
			file: "contacts.carddav = \"carddav://dav.example\"\n",
			want: `c.toml:1: contacts.carddav: "carddav://dav.example" has none of the forms https://, http://`,
		},
		"address books with a query": {
			file: "contacts.carddav = \"https://u:p@dav.example/?x=1\"\n",
			want: `c.toml:1: contacts.carddav: has a query or a fragment, and no address book has`,
		},
		"address books that are read all the time": {
			file: "contacts.refresh = \"1s\"\n",
			want: `c.toml:1: contacts.refresh: 1s is too short: at least 1m0s`,
		},
		"CRM without http": {
			file: "[crm]\nurl = \"ftp://crm.example\"\n",
			want: `c.toml:2: crm.url: "ftp://crm.example" has none of the forms https://, http://`,
		},
		"CRM that is no URL": {
			file: "[crm]\nurl = \"https:crm\"\n",
			want: `c.toml:2: crm.url: "https:crm" names no host`,
		},
		"CRM's token that is not there": {
			file: "crm.token = \"env:TICKETGATE_NO_SUCH\"\n",
			want: `c.toml:1: crm.token: the variable TICKETGATE_NO_SUCH is not set`,
		},
		"CRM's token that breaks a header": {
			file: "crm.token = \"a\\nX: b\"\n",
			want: `c.toml:1: crm.token: holds a control character`,
		},
		"CRM that is asked all the time": {
			file: "crm.refresh = \"0s\"\n",
			want: `c.toml:1: crm.refresh: 0s is too short: at least 1s`,
		},
		"OpenID provider without a name for us": {
			file: "[oidc]\nissuer = \"https://login.example\"\n",
			want: `c.toml:2: oidc.issuer: oidc.client_id is missing`,
		},
		"OpenID provider that is no address": {
			file: "[oidc]\nissuer = \"login.example\"\nclient_id = \"x\"\n",
			want: `c.toml:2: oidc.issuer: "login.example" is no issuer: want https://id.example.org`,
		},
		"feature to come, by environment": {
			env:  []string{"TICKETGATE_RETENTION_RAW_DAYS=7"},
			want: `TICKETGATE_RETENTION_RAW_DAYS: not yet available`,
		},
		"origin with a path": {
			file: "http.allowed_origins = [\"https://ui.example/\"]\n",
			want: `c.toml:1: http.allowed_origins: "https://ui.example/" is no origin: want https://ui.example.org`,
		},
		"any origin": {
			file: "http.allowed_origins = [\"*\"]\n",
			want: `c.toml:1: http.allowed_origins: "*" is no origin: want https://ui.example.org`,
		},
		"origins by pattern": {
			file: "http.allowed_origins = [\"https://*.example\"]\n",
			want: `c.toml:1: http.allowed_origins: "https://*.example" is no origin: want https://ui.example.org`,
		},
		"proxy": {
			file: "http.trusted_proxies = [\"proxy.example\"]\n",
			want: `c.toml:1: http.trusted_proxies: "proxy.example" is no network: want 192.0.2.0/24 or an address`,
		},
		"s3": {
			file: "blob.url = \"s3://bucket\"\n",
			want: `c.toml:1: blob.url: s3 is not yet available: use file:PATH`,
		},
		"public address": {
			file: "http.public_url = \"desk.example.org\"\n",
			want: `c.toml:1: http.public_url: "desk.example.org" is no public address: want https://desk.example.org`,
		},
		"time zone": {
			file: "desk.timezone = \"Mars/Olympus\"\n",
			want: `c.toml:1: desk.timezone: "Mars/Olympus" is no time zone: want a name such as Europe/Berlin`,
		},
		"level": {
			file: "log.level = \"loud\"\n",
			want: `c.toml:1: log.level: "loud" is none of debug, info, warn, error`,
		},
		"half a certificate": {
			file: "[http]\ntls_cert = \"/nowhere/cert.pem\"\n",
			want: `c.toml:2: http.tls_cert: http.tls_key is missing`,
		},
		"missing secret file": {
			file: "secret = \"file:/nowhere/secret\"\n",
			want: `c.toml:1: secret: stat /nowhere/secret: no such file or directory`,
		},
		"short secret": {
			file: "secret = \"hunter2\"\n",
			want: `c.toml:1: secret: is too short: at least 16 characters`,
		},
		"metrics in public": {
			file: "metrics.listen = \"127.0.0.1:8025\"\n",
			want: `c.toml:1: metrics.listen: 127.0.0.1:8025 is http.listen as well`,
		},
		"admin's listener on the public one": {
			file: "admin.listen = \"127.0.0.1:8025\"\n",
			want: `c.toml:1: admin.listen: 127.0.0.1:8025 is http.listen as well`,
		},
		"no network": {
			file: "webhooks.allow = \"intranet\"\n",
			want: `c.toml:1: webhooks.allow: "intranet" is no network: want 192.0.2.0/24 or an address`,
		},
		"everything at once": {
			file: "nonsense = 1\noutbound.workers = \"8\"\n",
			env:  []string{"TICKETGATE_LOG_FORMAT=xml"},
			want: "c.toml:1: nonsense: there is no such key\nc.toml:2: outbound.workers: \"8\" is no number\nTICKETGATE_LOG_FORMAT: \"xml\" is none of text, json",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadConfig(write(t, "c.toml", c.file, 0o600), c.env)
			if err == nil {
				t.Fatal("the configuration was taken")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamedFileMustExist(t *testing.T) {
	_, err := LoadConfig("/nowhere/ticketgate.toml", nil)
	if err == nil || err.Error() != "open /nowhere/ticketgate.toml: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestSecretFileThatOthersCanReadStopsTheStart(t *testing.T) {
	secret := write(t, "secret", "0123456789abcdef0123456789abcdef\n", 0o644)
	file := write(t, "c.toml", fmt.Sprintf("secret = \"file:%s\"\n", secret), 0o600)
	_, err := LoadConfig(file, nil)
	if err == nil || !strings.Contains(err.Error(), secret+" can be read by others (mode 0644)") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentGoesBeforeTheFile(t *testing.T) {
	file := write(t, "c.toml", `
hostname = "mx.example.org"
key = ["T", "DESK"]
[lmtp]
listen = ["127.0.0.1:1024", "unix:/run/x"]
max_message_bytes = "25 MiB"
[http]
public_url = "https://desk.example.org/"
`, 0o600)
	if _, err := LoadConfig(file, []string{
		"TICKETGATE_KEY=a,b", "TICKETGATE_LMTP_LISTEN=", "TICKETGATE_OUTBOUND_WORKERS=3", "TICKETGATE_RETENTION_EVENTS_DAYS=7",
		"TICKETGATE_STORE_URL=postgres://desk:${env:DESK_PW}@db/desk", "TICKETGATE_LMTP_LISTN=x", "PATH=/bin",
	}); err == nil {
		t.Fatal("a URL whose variable is not set was taken")
	}
	t.Setenv("DESK_PW", "p@ss/w:rd")
	c, err := LoadConfig(file, []string{
		"TICKETGATE_KEY=a,b", "TICKETGATE_LMTP_LISTEN=", "TICKETGATE_OUTBOUND_WORKERS=3", "TICKETGATE_RETENTION_EVENTS_DAYS=7",
		"TICKETGATE_STORE_URL=postgres://desk:${env:DESK_PW}@db/desk", "TICKETGATE_LMTP_LISTN=x", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Hostname, c.Keys, c.LMTP.Listen, c.LMTP.MaxMessageBytes, c.SMTP.MaxMessageBytes, c.HTTP.PublicURL,
		c.Outbound.Workers, c.EventsDays, c.StoreURL.Reveal(), c.StoreURL.String(), c.AdminEmail, c.Warnings}
	want := []any{"mx.example.org", []string{"A", "B"},
		[]Address{{"tcp", "127.0.0.1:1024"}, {"unix", "/run/x"}}, int64(25 << 20), int64(25 << 20), "https://desk.example.org",
		3, 7, "postgres://desk:p%40ss%2Fw%3Ard@db/desk", "postgres://desk:***@db/desk", "admin@mx.example.org",
		[]string{"TICKETGATE_LMTP_LISTN is no setting of ticketgate"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultsLieInTheDataDir(t *testing.T) {
	c, err := LoadConfig(write(t, "c.toml", "data_dir = \"/srv/desk\"\ndns.recheck = \"1s\"\n", 0o600), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.StoreURL.Reveal(), c.BlobURL.Reveal(), c.RedisURL.Reveal(), c.ShutdownTimeout, c.DNS.Recheck, c.EventsDays}
	want := []any{"sqlite:/srv/desk/ticketgate.db", "file:/srv/desk/blobs", "embedded", 30 * time.Second, time.Second, 30}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	c := &Config{
		Secrets:  []Secret{NewSecret("hunter2hunter2hunter2")},
		StoreURL: URL{text: "postgres://desk:hunter2@db/desk?password=hunter2"},
		RedisURL: URL{text: "redis+cluster://:hunter2@a:1,b:2"},
		CRM:      CRMConfig{URL: URL{text: "https://u:hunter2@crm.example/?apiKey=hunter2"}, Token: NewSecret("hunter2")},
		Contacts: ContactsConfig{CardDAV: URL{text: "https://u:hunter2@dav.example/"}},
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("configuration", "config", c, "secret", c.Secrets[0], "store", c.StoreURL)
	for _, text := range []string{log.String(), fmt.Sprintf("%v %+v %#v %s", c, *c, c.Secrets, c.StoreURL)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("a secret is shown: %s", text)
		}
	}
}

func TestEveryKeyHasItsVariable(t *testing.T) {
	for _, k := range configKeys {
		if got := keyOfVariable(Variable(k.name)); got == nil || got.name != k.name {
			t.Errorf("%s is not reached by %s", k.name, Variable(k.name))
		}
	}
}
