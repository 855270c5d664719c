<?php
/**
 * Makes WordPress's tables and its first user with WordPress's own installer.
 *
 * php install.php FOLDER ADDRESS NAME EMAIL PASSWORD
 */

define( 'WP_INSTALLING', true );
require __DIR__ . '/load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

list( , , $address, $login, $email, $password ) = $argv;
wp_install( 'Test & Co', $login, $email, true, '', wp_slash( $password ) );
update_option( 'siteurl', $address );
update_option( 'home', $address );
