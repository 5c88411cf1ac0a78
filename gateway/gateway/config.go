package gateway

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// DefaultConfigFile is read when no other file is named and it exists.
const DefaultConfigFile = "/etc/ticketgate/ticketgate.toml"

// envPrefix begins the name of every environment variable of ours.
const envPrefix = "TICKETGATE_"

// Config is the whole configuration, checked: each value is of a form that the
// part which uses it takes. It is made by LoadConfig and not changed later.
type Config struct {
	File            string // that it was read from; "" for none
	Hostname        string
	DataDir         string
	Keys            []string // ticket keys: the first writes, all are read
	Secrets         []Secret // empty: the one in DataDir/secret
	AdminEmail      string   // of the admin that the first start makes
	ShutdownTimeout time.Duration
	LMTP            IntakeConfig
	SMTP            IntakeConfig // shares limits, timeout and certificate with LMTP
	HTTP            HTTPConfig
	OIDC            OIDCConfig
	AdminListen     []Address // has what is tagged admin, which http.listen then has not; none: http.listen has it
	MetricsListen   []Address
	LookupListen    []Address // Postfix asks for recipients there
	StoreURL        URL       // "sqlite:PATH" or "postgres://..."
	RedisURL        URL       // "embedded" or a Redis URL
	BlobURL         URL       // "file:PATH"
	DNS             DNSConfig
	TrustedSealers  []string // host names whose ARC seals are believed
	Rules           RulesConfig
	Outbound        OutboundConfig
	CRM             CRMConfig
	Contacts        ContactsConfig
	WebhooksAllow   []netip.Prefix // private networks that webhooks may reach, with http as well
	EventsDays      int            // how long the journal of events is kept; 0: for ever
	AuditDays       int            // how long the audit log is kept; 0: for ever
	TimeZone        *time.Location
	Language        string
	LogLevel        string // debug, info, warn, error
	LogFormat       string // text, json, or "" for text on a terminal and json elsewhere
	Warnings        []string
}

// RulesConfig says which header fields rules may believe.
type RulesConfig struct {
	TrustedHeaders []string // that filters of our own write
	TrustedHops    int      // Received fields that our own servers add to every mail
}

// IntakeConfig is what one face of the intake needs.
type IntakeConfig struct {
	Listen          []Address
	Allow           []netip.Prefix // who may use a listener beyond loopback
	MaxMessageBytes int64
	MaxRecipients   int
	MaxConnections  int
	Timeout         time.Duration
	TrustedAuthserv []string
	TLS             CertificateFiles
}

// HTTPConfig is what the HTTP face needs.
type HTTPConfig struct {
	Listen    []Address
	PublicURL string // without a slash at its end; "": http:// and the first listener
	TLS       CertificateFiles
	// AllowedOrigins are those of connected UIs on other hosts; TrustedProxies
	// the networks whose X-Forwarded-For is believed.
	AllowedOrigins []string
	TrustedProxies []netip.Prefix
}

// OIDCConfig names the OpenID Connect provider that agents may log in at.
type OIDCConfig struct {
	Issuer       string // "": none
	ClientID     string
	ClientSecret Secret // empty for a public client
}

// CertificateFiles names the PEM files of a TLS listener; both or none are set.
type CertificateFiles struct {
	Cert, Key string
}

// Enabled tells whether there is a certificate.
func (c CertificateFiles) Enabled() bool { return c.Cert != "" }

// DNSConfig says whom to ask, and how long to wait.
type DNSConfig struct {
	Resolver string // host:port; "" is the system's
	Timeout  time.Duration
	Recheck  time.Duration // no longer than this until a failed look-up is made again; 0: as planned
}

// OutboundConfig says how answers leave.
type OutboundConfig struct {
	Smarthost URL
	Default   bool // nobody set Smarthost
	Workers   int
	MaxAge    time.Duration
}

// CRMConfig says which outside CRM is asked for contacts.
type CRMConfig struct {
	URL     URL           // zero: none
	Token   Secret        // empty: none is sent
	Refresh time.Duration // how old its answers may grow
}

// ContactsConfig says which address books contacts are read from.
type ContactsConfig struct {
	CardDAV URL           // zero: none
	Refresh time.Duration // between two readings
}

// LoadConfig reads the configuration: defaults, then the file, then the
// environment. An empty file means DefaultConfigFile if it exists. The error
// lists every finding, each with file, line and key, or with the variable.
func LoadConfig(file string, environ []string) (*Config, error) {
	c := defaultConfig()
	set := &settings{config: c, named: map[string]bool{}, where: map[string]string{}}
	if err := set.readFile(file); err != nil {
		return nil, err
	}
	set.readEnvironment(environ)
	if len(set.problems) == 0 {
		set.finish()
	}
	if err := set.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// defaultConfig gives what holds where nothing is set.
func defaultConfig() *Config {
	hostname, err := os.Hostname()
	if err != nil || !isHostname(hostname) {
		hostname = "localhost"
	}
	return &Config{
		Hostname:        strings.ToLower(hostname),
		DataDir:         "./ticketgate-data",
		Keys:            []string{"T"},
		ShutdownTimeout: 30 * time.Second,
		LMTP: IntakeConfig{
			Listen:          []Address{{Network: "tcp", Address: "127.0.0.1:2424"}},
			MaxMessageBytes: 52428800,
			MaxRecipients:   1000,
			MaxConnections:  1000,
			Timeout:         5 * time.Minute,
		},
		HTTP:          HTTPConfig{Listen: []Address{{Network: "tcp", Address: "127.0.0.1:8025"}}},
		MetricsListen: []Address{{Network: "tcp", Address: "127.0.0.1:9025"}},
		RedisURL:      URL{text: "embedded"},
		DNS:           DNSConfig{Timeout: 5 * time.Second},
		Outbound: OutboundConfig{
			Smarthost: URL{text: "smtp://127.0.0.1:25"},
			Workers:   8,
			MaxAge:    72 * time.Hour,
		},
		CRM:        CRMConfig{Refresh: 24 * time.Hour},
		Contacts:   ContactsConfig{Refresh: time.Hour},
		Rules:      RulesConfig{TrustedHops: 1},
		EventsDays: 30,

		TimeZone: time.UTC,
		Language: "en",
		LogLevel: "info",
	}
}

// settings applies values to a Config and gathers what is wrong with them.
type settings struct {
	config   *Config
	named    map[string]bool   // keys that were set
	where    map[string]string // where a key was set last, for checks across keys
	problems []problem
}

// readFile applies the file's keys; only a file that can't be read is an error
// of its own, all else becomes a problem.
func (s *settings) readFile(file string) error {
	named := file != ""
	if !named {
		file = DefaultConfigFile
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return err
	}
	s.config.File = file
	document, err := parseTOML(filepath.Base(file), data)
	if err != nil {
		return err
	}
	s.unknownTables(document)
	for _, e := range document.entries {
		s.apply(e.key, at(document.name, e.line), e.value, false)
	}
	return nil
}

// unknownTables reports headers that no key lies below: even empty they are
// most likely a key that was meant and misspelt.
func (s *settings) unknownTables(d *document) {
	for _, t := range d.tables {
		known := slices.ContainsFunc(configKeys, func(k configKey) bool {
			return strings.HasPrefix(k.name, t.key+".")
		})
		if !known {
			s.problem(at(d.name, t.line), t.key, "there is no such table")
		}
	}
}

// readEnvironment applies the variables of ours. An empty one is not set.
func (s *settings) readEnvironment(environ []string) {
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || text == "" {
			continue
		}
		if name == envPrefix+"ADMIN_EMAIL" {
			s.config.AdminEmail = text
			continue
		}
		k := keyOfVariable(name)
		if k == nil {
			s.config.Warnings = append(s.config.Warnings, name+" is no setting of ticketgate")
			continue
		}
		s.apply(k.name, name, text, true)
	}
}

// apply sets one key from where (a file's line or a variable's name).
func (s *settings) apply(name, where string, raw any, fromEnv bool) {
	k := keyNamed(name)
	if k == nil {
		s.problem(where, name, "there is no such key")
		return
	}
	shown := name
	if fromEnv {
		shown = ""
	}
	if k.set == nil {
		if !idle(name, raw) {
			s.problem(where, shown, "not yet available")
		}
		return
	}
	if err := k.set(s.config, value{raw: raw, fromEnv: fromEnv}); err != nil {
		s.problem(where, shown, err.Error())
		return
	}
	s.named[name] = true
	s.where[name] = where
}

// problem is one finding.
type problem struct {
	where, key, text string
}

func (s *settings) problem(where, key, text string) {
	s.problems = append(s.problems, problem{where, key, text})
}

// err joins the findings, or is nil.
func (s *settings) err() error {
	var all []error
	for _, p := range s.problems {
		parts := []string{p.where, p.key, p.text}
		parts = slices.DeleteFunc(parts, func(t string) bool { return t == "" })
		all = append(all, errors.New(strings.Join(parts, ": ")))
	}
	return errors.Join(all...)
}
