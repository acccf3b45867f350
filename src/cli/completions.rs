//! `completions`: what a shell needs to complete our command line.

use clap::{Args, Command};
use clap_complete::Shell;

use super::print;

const EXAMPLES: &str = "\
Examples:
  source <(customer-guard completions bash)
  customer-guard completions bash \\
    > ~/.local/share/bash-completion/completions/customer-guard
  customer-guard completions zsh > ~/.zfunc/_customer-guard
  customer-guard completions fish \\
    > ~/.config/fish/completions/customer-guard.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(options: &Options, mut whole: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let name = whole.get_name().to_owned();
    clap_complete::generate(options.shell, &mut whole, name, &mut script);
    print(&String::from_utf8(script)?)
}
