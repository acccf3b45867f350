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
    let looked_up = name.clone();
    clap_complete::generate(options.shell, &mut whole, name, &mut script);
    let script = String::from_utf8(script)?;
    print(&match options.shell {
        // The generator spells the hyphen of our name in one way where it looks a command up and in another where it has it.
        Shell::Bash => script.replace(&looked_up.replace('-', "__subcmd__"), &looked_up.replace('-', "__")),
        _ => script,
    })
}
