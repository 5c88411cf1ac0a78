package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"ticketgate/gateway/crm"
	"ticketgate/gateway/login"
	"ticketgate/gateway/verify"
	"ticketgate/outbound"
	"ticketgate/store"
	"ticketgate/store/blob"
	"ticketgate/store/postgres"
	"ticketgate/store/sqlite"
	"ticketgate/threading"
)

// Core is what the daemon and every command of the shell stand on: the store,
// opened and set up, and what reads and writes it. Several processes may have
// one on the same store.
type Core struct {
	Config    *Config
	DB        *store.DB
	Blobs     store.Blobs
	Seal      *store.Sealer
	Threading *threading.Service
	Resolver  *verify.Resolver
	CRM       *crm.Client // nil: there is none
	Created   bool        // this call made the desk: it is the first start

	queued atomic.Pointer[func(context.Context, []store.Due)]
}

// CoreOptions are what the daemon gives beyond the configuration.
type CoreOptions struct {
	Log       *slog.Logger
	Exclusive bool // refuse a second daemon on one SQLite
	Look      bool // only look: make no desk where there is none
	PublicURL string
	Observe   func(batch int, commit time.Duration)
	Lookup    func(kind, result string) // told of each DNS look-up
	AskedCRM  func(result string)       // told of each look-up in the CRM
	Ruled     func(store.RuleResult)    // told of each look of a rule
	Now       func() time.Time
}

// OpenCore opens the store, makes the master secret and the desk where there
// are none, and writes the first admin's token to DataDir/admin-token.
func OpenCore(ctx context.Context, c *Config, opt CoreOptions) (*Core, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	secrets, err := masterSecrets(c)
	if err != nil {
		return nil, err
	}
	core := &Core{Config: c, Resolver: verify.NewResolver(verify.ResolverOptions{
		Server: c.DNS.Resolver, Timeout: c.DNS.Timeout, Now: opt.Now, Observe: opt.Lookup,
	})}
	if core.CRM, err = openCRM(c, opt); err != nil {
		return nil, err
	}
	if core.Seal, err = store.NewSealer(secrets); err != nil {
		return nil, err
	}
	if core.Blobs, err = blob.Open(c.BlobURL.Reveal()); err != nil {
		return nil, fmt.Errorf("blob.url: %w", err)
	}
	if core.DB, err = openStore(ctx, c, core.Blobs, opt); err != nil {
		return nil, err
	}
	if err := core.setUp(ctx, secrets, opt); err != nil {
		return nil, errors.Join(err, core.Close())
	}
	return core, nil
}

// openStore opens the database that store.url names.
func openStore(ctx context.Context, c *Config, blobs store.Blobs, opt CoreOptions) (*store.DB, error) {
	options := store.Options{Blobs: blobs, Log: opt.Log, Now: opt.Now, Observe: opt.Observe, Exclusive: opt.Exclusive}
	var db *store.DB
	var err error
	if c.StoreURL.Scheme() != "sqlite" {
		db, err = postgres.Open(ctx, c.StoreURL.Reveal(), options)
	} else {
		path := c.StoreURL.Rest()
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			db, err = sqlite.Open(ctx, path, options)
		}
	}
	switch {
	case store.ReasonOf(err) == store.ReasonInUse:
		return nil, fmt.Errorf("another daemon serves %s already", c.StoreURL)
	case err != nil:
		return nil, fmt.Errorf("store %s: %w", c.StoreURL, err)
	}
	return db, nil
}

// openCRM gives the client of the outside CRM, nil where none is configured.
func openCRM(c *Config, opt CoreOptions) (*crm.Client, error) {
	if c.CRM.URL.IsZero() {
		return nil, nil
	}
	return crm.New(crm.Options{
		URL: c.CRM.URL.Reveal(), Token: c.CRM.Token.Reveal(), Refresh: c.CRM.Refresh, Now: opt.Now, Log: opt.Log, Observe: opt.AskedCRM,
	})
}

// setUp checks the secret against the store and makes the first desk.
func (c *Core) setUp(ctx context.Context, secrets []string, opt CoreOptions) error {
	if err := c.checkSecret(ctx, opt.Look); err != nil {
		return err
	}
	options := threading.Options{
		DB: c.DB, Secrets: secrets, Keys: c.Config.Keys, Hostname: c.Config.Hostname, PublicURL: opt.PublicURL,
		Now: opt.Now, Log: opt.Log, Queued: c.whenQueued, Timezone: c.Config.TimeZone, Ruled: opt.Ruled,
		TrustedHeaders: c.Config.Rules.TrustedHeaders, TrustedHops: c.Config.Rules.TrustedHops, DirectoryRefresh: c.Config.CRM.Refresh,
	}
	if c.CRM != nil {
		options.Directory = c.CRM
	}
	var err error
	c.Threading, err = threading.New(options)
	if err != nil {
		return err
	}
	if opt.Look {
		return nil
	}
	token, created, err := c.Threading.Setup(ctx, c.Config.AdminEmail)
	if err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	c.Created = created
	return c.keepAdminToken(ctx, token)
}

// metaSecret holds a text sealed under the secret that the store belongs to.
const metaSecret = "secret_check"

var errOtherSecret = errors.New("the store was made with another master secret: set `secret` to that one, " +
	"or copy the file data_dir/secret of the first node")

// checkSecret refuses to run with a secret that opens nothing of this store: it
// would sign tokens that no other node knows, and fail at the first DKIM key.
func (c *Core) checkSecret(ctx context.Context, look bool) error {
	return c.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, err := tx.Meta(ctx, metaSecret)
		if err != nil {
			return err
		}
		if kept == "" {
			sealed := c.Seal.Seal(metaSecret, []byte("ticketgate"))
			if err := c.resealWebhooks(ctx, tx); err != nil {
				return err
			}
			return tx.SetMeta(ctx, metaSecret, base64.StdEncoding.EncodeToString(sealed))
		}
		sealed, err := base64.StdEncoding.DecodeString(kept)
		if err != nil {
			return err
		}
		if _, err := c.Seal.Open(metaSecret, sealed); err != nil {
			return errOtherSecret
		}
		if look || c.Seal.Current(metaSecret, sealed) {
			return nil
		}
		return c.reseal(ctx, tx)
	})
}

// reseal brings all that is sealed under the first of the secrets, which was
// put in front since: after that the others can be dropped.
func (c *Core) reseal(ctx context.Context, tx *store.Tx) error {
	if err := login.ResealTOTP(ctx, tx, c.Seal); err != nil {
		return err
	}
	keys, err := tx.DKIMKeys(ctx, "")
	if err != nil {
		return err
	}
	for _, k := range keys {
		changed, err := outbound.ResealKey(c.Seal, &k)
		if err != nil {
			return fmt.Errorf("DKIM key of %s: %w", k.Domain, err)
		}
		if !changed {
			continue
		}
		if err := tx.PutDKIMKey(ctx, k); err != nil {
			return err
		}
	}
	if err := c.resealWebhooks(ctx, tx); err != nil {
		return err
	}
	return tx.SetMeta(ctx, metaSecret, base64.StdEncoding.EncodeToString(c.Seal.Seal(metaSecret, []byte("ticketgate"))))
}

// metaAdminToken tells that the first admin's token was handed over.
const metaAdminToken = "admin_token_written"

// TokenFile is where the first start leaves the admin's token.
func (c *Config) TokenFile() string { return filepath.Join(c.DataDir, "admin-token") }

// keepAdminToken writes the first admin's token to its file. A start that was
// killed between making the desk and writing the file is made up for with a
// fresh token.
func (c *Core) keepAdminToken(ctx context.Context, token string) error {
	var written string
	err := c.DB.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		written, err = tx.Meta(ctx, metaAdminToken)
		return err
	})
	if err != nil || written != "" {
		return err
	}
	if token == "" {
		desk, err := c.DB.Desk(ctx)
		if err != nil {
			return err
		}
		admin := firstAdmin(desk)
		if admin == nil {
			return nil
		}
		if token, err = c.MakeToken(ctx, store.Token{AgentID: admin.ID, Name: "first start"}, 0); err != nil {
			return err
		}
	}
	if err := replaceFile(c.Config.TokenFile(), token+"\n"); err != nil {
		return fmt.Errorf("admin's token: %w", err)
	}
	return c.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetMeta(ctx, metaAdminToken, "yes")
	})
}

func firstAdmin(desk *store.Desk) *store.Agent {
	for i := range desk.Agents {
		if a := &desk.Agents[i]; a.Active && a.Role == store.RoleAdmin {
			return a
		}
	}
	return nil
}

// MakeToken makes an API token of this name, agent and scopes, good for so long, or
// for ever for 0, and gives it; only its hash is kept.
func (c *Core) MakeToken(ctx context.Context, t store.Token, life time.Duration) (string, error) {
	var plain string
	plain, t.Hash = threading.NewToken()
	t.ID, t.CreatedAt = store.NewID(), time.Now().UTC()
	if life > 0 {
		t.ExpiresAt = t.CreatedAt.Add(life)
	}
	err := c.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddAudit(ctx, atShell("create-token", "/tokens/"+t.ID, t.CreatedAt)); err != nil {
			return err
		}
		return tx.PutToken(ctx, t)
	})
	return plain, err
}

// SetPassword sets an agent's password and ends all of his sessions.
func (c *Core) SetPassword(ctx context.Context, agent *store.Agent, plain string) error {
	if fault := login.PasswordFault(plain, agent.Email); fault != "" {
		return errors.New("the password " + fault)
	}
	hash, line := login.HashPassword(plain), atShell("change-password", "/agents/"+agent.ID, time.Now().UTC())
	return c.DB.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddAudit(ctx, line); err != nil {
			return err
		}
		return tx.SetPassword(ctx, agent.ID, hash, "")
	})
}

// atShell is the audit log's line of what a command did: whoever may run it is
// not known to us.
func atShell(action, thing string, at time.Time) store.Audit {
	return store.Audit{ID: store.NewID(), At: at, Action: action, Thing: thing, AuditDetail: store.AuditDetail{Client: "shell"}}
}

// whenQueued passes on which deliveries wait, once there is somebody to tell. A
// command has nobody: the daemon beside it finds them in the ledger.
func (c *Core) whenQueued(ctx context.Context, due []store.Due) {
	if tell := c.queued.Load(); tell != nil {
		(*tell)(ctx, due)
	}
}

// Close gives the store back.
func (c *Core) Close() error {
	if c.CRM != nil {
		c.CRM.Close()
	}
	return c.DB.Close()
}
