package redhat

import (
	"regexp"
	"strings"
)

// The names of content sets. A variant is baseos, appstream and the like, with
// a stream of extended support; the minor release of a stream follows as
// __8_DOT_6.
var (
	releaseSet = regexp.MustCompile(`^rhel-(\d+)-for-[a-z0-9_]+-([a-z0-9-]+?)(?:-(eus|e4s|aus|tus|els))?-(?:debug-|source-)?rpms(?:__(\d+)_DOT_(\d+))?$`)
	ubiSet     = regexp.MustCompile(`^ubi-(\d+)(?:-for-[a-z0-9_]+)?-([a-z-]+?)-(?:debug-|source-)?rpms$`)
	builderSet = regexp.MustCompile(`^codeready-builder-for-rhel-(\d+)-[a-z0-9_]+(?:-(eus))?-(?:debug-|source-)?rpms(?:__(\d+)_DOT_(\d+))?$`)
	sevenSet   = regexp.MustCompile(`^rhel-([67])-(server|workstation|client|hpc-node)(?:-(optional|extras|supplementary|fastrack))?-rpms$`)
	productSet = regexp.MustCompile(`^([a-z][a-z0-9-]*?)-(\d+(?:\.\d+)*)(?:-[a-z]+)?-for-rhel-(\d+)(?:-server)?(?:-[a-z0-9_]+)?-(?:debug-|source-)?rpms$`)
	fastSet    = regexp.MustCompile(`^fast-datapath-for-rhel-(\d+)-[a-z0-9_]+-rpms$`)
)

// variants are the editions by which CPEs name variants. Nothing writes to it.
var variants = map[string]struct {
	part, edition string
}{
	"baseos": {"o", "baseos"}, "appstream": {"a", "appstream"}, "highavailability": {"a", "highavailability"},
	"resilientstorage": {"a", "resilientstorage"}, "nfv": {"a", "nfv"}, "rt": {"a", "realtime"}, "supplementary": {"a", "supplementary"},
	"sap-solutions": {"a", "sap_hana"}, "sap-netweaver": {"a", "sap"}, "codeready-builder": {"a", "crb"},
}

// products are the CPE products of layered products, by the names of their
// content sets. Nothing writes to it.
var products = map[string]string{
	"rhocp": "openshift", "ansible-automation-platform": "ansible_automation_platform", "ansible": "ansible_engine",
	"openstack": "openstack", "rhceph": "ceph_storage", "rhacm": "acm", "cnv": "container_native_virtualization",
	"satellite": "satellite", "satellite-capsule": "satellite_capsule", "satellite-client": "rhel_satellite_client",
	"jb-eap": "jboss_enterprise_application_platform", "jws": "jboss_enterprise_web_server", "rhosds": "openshift_ds",
	"gitops": "openshift_gitops", "pipelines": "openshift_pipelines", "service-mesh": "service_mesh", "amq-interconnect": "amq_interconnect",
	"ocp-tools": "ocp_tools", "rhv-4-manager": "rhev_manager",
}

// CPE returns the CPE of the product that a content set is of, in the URI form
// in which Red Hat's advisories name it; "" if the name is not understood.
func CPE(contentSet string) string {
	if m := releaseSet.FindStringSubmatch(contentSet); m != nil {
		return releaseCPE(m[1], m[2], m[3], m[4], m[5])
	}
	if m := ubiSet.FindStringSubmatch(contentSet); m != nil {
		return releaseCPE(m[1], m[2], "", "", "")
	}
	if m := builderSet.FindStringSubmatch(contentSet); m != nil {
		return releaseCPE(m[1], "codeready-builder", m[2], m[3], m[4])
	}
	if m := sevenSet.FindStringSubmatch(contentSet); m != nil {
		if m[3] == "extras" || m[3] == "supplementary" {
			return "cpe:/a:redhat:rhel_extras:" + m[1]
		}
		return "cpe:/o:redhat:enterprise_linux:" + m[1] + "::" + strings.TrimSuffix(strings.Replace(m[2], "hpc-node", "computenode", 1), "-node")
	}
	if m := fastSet.FindStringSubmatch(contentSet); m != nil {
		return "cpe:/o:redhat:enterprise_linux:" + m[1] + "::fastdatapath"
	}
	if m := productSet.FindStringSubmatch(contentSet); m != nil && products[m[1]] != "" {
		return "cpe:/a:redhat:" + products[m[1]] + ":" + m[2] + "::el" + m[3]
	}
	return ""
}

// releaseCPE returns the CPE of a variant of Red Hat Enterprise Linux, or of a
// stream of extended support of it.
func releaseCPE(release, variant, stream, major, minor string) string {
	v, ok := variants[variant]
	if !ok {
		return ""
	}
	product := "enterprise_linux:" + release
	if stream != "" && minor != "" {
		product = "rhel_" + stream + ":" + major + "." + minor
	}
	return "cpe:/" + v.part + ":redhat:" + product + "::" + v.edition
}
