package clair

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEcosystem_PackageName(t *testing.T) {
	for name, c := range map[string]struct{ repository, found, want string }{
		"pypi":           {"pypi", "Zope.Interface__x", "zope-interface-x"},
		"nuget":          {"nuget", "Newtonsoft.Json", "newtonsoft.json"},
		"packagist":      {"packagist", "Vendor/Package", "vendor/package"},
		"go":             {"go", "github.com/Azure/x", "github.com/azure/x"},
		"swift":          {"swift", "github.com/Apple/swift-nio", "github.com/apple/swift-nio"},
		"swift_address":  {"swift", "https://github.com/apple/swift-nio.git", "github.com/apple/swift-nio"},
		"github_actions": {"github-actions", "Actions/Checkout", "actions/checkout"},
		"npm":            {"npm", "JSONStream", "JSONStream"},
		"maven":          {"maven", "com.Example:A", "com.Example:A"},
		"none":           {"", "A", "A"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, (&Repository{Name: c.repository}).PackageName(c.found))
		})
	}
}
