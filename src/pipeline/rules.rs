//! What verdicts rest on: one catalogue and one policy, loaded and replaced together.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::alert::event::Id;
use crate::config::Config;
use crate::export::Metrics;
use crate::export::metrics::ExceptionEnd;
use crate::fault::Faults;
use crate::identity::LeaseFile;
use crate::identity::lease_file::{self, Refused};
use crate::policy::{NeverRecord, Policy};
use crate::signature::Catalog;

/// One snapshot. A batch of updates is judged by one snapshot, so that no verdict mixes two.
#[derive(Debug)]
pub struct Rules {
    pub catalog: Arc<Catalog>,
    pub policy: Policy,
    pub never: NeverRecord,
    pub leases: LeaseFile,
    /// Names the text that the policy was read from; stands in every event.
    pub policy_version: String,
}

impl Rules {
    /// Loads the catalogue and reads the policy against it.
    ///
    /// # Errors
    /// All mistakes in all files, each with file, line and remedy.
    pub fn load(config: &Config) -> Result<Self, Faults> {
        let catalog = Catalog::load(&config.signatures)?;
        let policy = Policy::build(&config.policy_options(), &catalog, &config.file, &config.text)?;
        let never = &config.privacy.never_record;
        let never = NeverRecord::build(never, &catalog, &config.file, &config.text)?;
        let leases = LeaseFile::read(&config.leases, |group| policy.knows_group(group))?;
        let policy_version = Id::of(&[&config.text]).to_string().chars().take(8).collect();
        Ok(Self { catalog: Arc::new(catalog), policy, never, leases, policy_version })
    }

    /// The same rules with the files of leases as they lie on the disk now.
    ///
    /// # Errors
    /// Why the files are refused, with file, line and remedy.
    pub fn with_leases(&self, options: &lease_file::Options) -> Result<Self, Refused> {
        let leases = LeaseFile::read(options, |group| self.policy.knows_group(group))?;
        Ok(Self {
            catalog: self.catalog.clone(),
            policy: self.policy.clone(),
            never: self.never.clone(),
            leases,
            policy_version: self.policy_version.clone(),
        })
    }

    /// Tells the metrics which catalogue and policy are in force, and which vendors and groups they name.
    pub fn show(&self, metrics: &Metrics) {
        metrics.catalog(self.catalog.version());
        let exceptions = self.policy.exceptions().map(|(rule, exception)| ExceptionEnd {
            rule: rule.to_owned(),
            owner: exception.owner.clone(),
            ends: exception.ends.secs(),
        });
        metrics.policy(self.policy.rules().len(), exceptions.collect());
        let vendors = self.policy.named_vendors();
        metrics.usage().declare_vendors(vendors.iter().map(|v| &**v));
        let groups = self.policy.groups();
        metrics.usage().declare_groups(groups.iter().map(|g| &**g));
    }
}

/// The rules in force: read by the collector once a batch, replaced whole by a reload.
#[derive(Debug)]
pub struct InForce(ArcSwap<Rules>);

impl InForce {
    pub fn new(rules: Rules) -> Self {
        Self(ArcSwap::from_pointee(rules))
    }

    pub fn load(&self) -> Arc<Rules> {
        self.0.load_full()
    }

    pub fn replace(&self, rules: Rules) {
        self.0.store(Arc::new(rules));
    }
}
