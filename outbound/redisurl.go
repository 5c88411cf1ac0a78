package outbound

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Limits of one call to Redis. Nobody waits long for it: what fails is tried
// again by a loop, and the ledger has it all.
const (
	redisDial = 2 * time.Second
	redisCall = 3 * time.Second
	redisPool = 32
)

// redisClient makes a client of a URL, and tells whether it is a cluster.
//
// Calls are never repeated by the library, which can't know whether one that
// broke off had its effect; contexts bound calls; and no notices are asked for
// that older servers log as errors.
func redisClient(raw string) (client redis.UniversalClient, cluster bool, err error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	switch scheme {
	case "redis", "rediss":
		options, err := redis.ParseURL(raw)
		if err != nil {
			return nil, false, fmt.Errorf("redis.url can't be read") // its error shows the password
		}
		options.MaxRetries, options.DialerRetries = -1, 1
		options.DialTimeout, options.ReadTimeout, options.WriteTimeout = redisDial, redisCall, redisCall
		options.ContextTimeoutEnabled = true
		options.PoolSize, options.MaxActiveConns, options.PipelinePoolSize = redisPool, 2*redisPool, -1
		options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		options.DisableIdentity = true
		return redis.NewClient(options), false, nil
	case "redis+sentinel", "redis+cluster":
		options, err := universal(scheme, rest)
		if err != nil {
			return nil, false, err
		}
		return redis.NewUniversalClient(options), options.IsClusterMode, nil
	}
	return nil, false, fmt.Errorf("redis.url: the scheme %s is not known", scheme)
}

// universal reads the forms that name several hosts.
func universal(scheme, rest string) (*redis.UniversalOptions, error) {
	user, hosts := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, hosts = rest[:at+1], rest[at+1:]
	}
	hosts, query, _ := strings.Cut(hosts, "?")
	hosts, path, _ := strings.Cut(hosts, "/")
	u, err := url.Parse("redis://" + user + "host")
	if err != nil || hosts == "" {
		return nil, fmt.Errorf("redis.url can't be read")
	}
	password, _ := u.User.Password()
	options := &redis.UniversalOptions{
		Addrs: strings.Split(hosts, ","), Username: u.User.Username(), Password: password,
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: redisDial, ReadTimeout: redisCall, WriteTimeout: redisCall,
		ContextTimeoutEnabled: true,
		PoolSize:              redisPool, MaxActiveConns: 2 * redisPool, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DisableIdentity:          true,
	}
	if strings.Contains(query, "tls=true") {
		options.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if scheme == "redis+cluster" {
		options.IsClusterMode = true
		return options, nil
	}
	master, db, _ := strings.Cut(path, "/")
	if master == "" {
		return nil, fmt.Errorf("redis.url names no master: redis+sentinel://host:port,host:port/MASTER")
	}
	options.MasterName = master
	if db != "" {
		if options.DB, err = strconv.Atoi(db); err != nil {
			return nil, fmt.Errorf("redis.url: the database is no number")
		}
	}
	return options, nil
}
